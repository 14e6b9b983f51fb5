// One job: how far it is, which lines are wrong and what would be right, what the others do, and the way back.

import { Button, Progress, Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { api, must, once, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { useAct } from "../../frame/act";
import { Facts, Pill, SimLink, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { ReasonDialog } from "../../frame/ReasonDialog";
import { useLanguage } from "../../i18n";
import { modeOf, number } from "./Imports";

export function Job({ id }: { id: number }) {
  const { messages: t } = useLanguage();
  const may = useMay();
  const [undoing, setUndoing] = useState(false);
  const q = useQuery({
    queryKey: ["jobs", "one", id],
    queryFn: () => must(api.GET("/api/v1/jobs/{id}", { params: { path: { id } } })),
    refetchInterval: (query) => (query.state.data?.ended ? false : 1_000),
  });
  const undo = useAct({
    run: () => must(api.POST("/api/v1/jobs/{id}/undo", { params: { path: { id }, header: once() } })),
    done: t.imports.undoing,
    touches: ["jobs", "sims", "overview"],
    after: () => setUndoing(false),
  });
  if (q.error) return <Fault error={q.error} again={() => void q.refetch()} />;
  const j = q.data;
  if (!j) return null;
  const inForce = j.state === "done" && (j.result as { mode?: string } | null)?.mode !== "dry-run";
  const changes = (number(j, "new") ?? 0) + (number(j, "changed") ?? 0) > 0;
  return (
    <Stack gap="md">
      <Facts
        facts={[
          [t.fields.state, <Pill key="s" value={j.state} />],
          [t.imports.mode, modeOf(j, t.imports.modes)],
          [t.imports.rows, number(j, "rows")],
          [t.imports.new, number(j, "new")],
          [t.imports.changed, number(j, "changed")],
          [t.imports.same, number(j, "same")],
          [t.imports.errors, number(j, "errors")],
          [t.fields.who, j.actor],
          [t.fields.created, <When key="c" at={j.created} />],
        ]}
      />
      {!j.ended && j.total != null && (
        <Progress value={(100 * j.done) / Math.max(1, j.total)} aria-label={t.sims.progress(j.done, j.total)} />
      )}
      {inForce && changes && may("provision") && (
        <div>
          <Button size="xs" variant="default" className="danger" onClick={() => setUndoing(true)}>
            {t.imports.undo}
          </Button>
        </div>
      )}
      {undoing && (
        <ReasonDialog plain title={t.imports.undoSure(id)} action={t.imports.undo} act={undo} close={() => setUndoing(false)} />
      )}
      <Errors job={j} />
      <Rows job={j} />
      {j.state === "undone" && <Kept job={j} />}
    </Stack>
  );
}

type OfJob = { job: Schemas["Job"] };

function Errors({ job }: OfJob) {
  const { messages: t, language } = useLanguage();
  const list = useList(
    ["jobs", "errors", job.id, job.state, language],
    (cursor) => must(api.GET("/api/v1/jobs/{id}/errors", { params: { path: { id: job.id }, query: { limit: 200, ...(cursor ? { cursor } : {}) } } })),
    60_000,
  );
  return (
    <Lines title={t.imports.wrongLines} list={list} heads={[t.imports.line, t.imports.column, t.imports.what, t.imports.fix]}>
      {list.rows.map((e, i) => (
        <Table.Tr key={i}>
          <Table.Td>{e.line}</Table.Td>
          <Table.Td>{e.column}</Table.Td>
          <Table.Td>{e.what}</Table.Td>
          <Table.Td>{e.fix}</Table.Td>
        </Table.Tr>
      ))}
    </Lines>
  );
}

function Rows({ job }: OfJob) {
  const { messages: t } = useLanguage();
  const list = useList(
    ["jobs", "rows", job.id, job.state],
    (cursor) => must(api.GET("/api/v1/jobs/{id}/rows", { params: { path: { id: job.id }, query: { limit: 200, ...(cursor ? { cursor } : {}) } } })),
    60_000,
  );
  return (
    <Lines title={t.imports.diff} list={list} heads={[t.imports.line, t.fields.imsi, t.imports.what, t.imports.column]}>
      {list.rows.map((r, i) => (
        <Table.Tr key={i}>
          <Table.Td>{r.line}</Table.Td>
          <Table.Td>
            <SimLink imsi={r.imsi} />
          </Table.Td>
          <Table.Td>{r.diff === "new" ? t.imports.new : t.imports.changed}</Table.Td>
          <Table.Td>{r.fields.join(", ")}</Table.Td>
        </Table.Tr>
      ))}
    </Lines>
  );
}

function Kept({ job }: OfJob) {
  const { messages: t, language } = useLanguage();
  const list = useList(
    ["jobs", "kept", job.id, language],
    (cursor) => must(api.GET("/api/v1/jobs/{id}/kept", { params: { path: { id: job.id }, query: { limit: 200, ...(cursor ? { cursor } : {}) } } })),
    60_000,
  );
  return (
    <Lines title={t.imports.kept} list={list} heads={[t.fields.imsi, t.imports.column, t.fields.why]}>
      {list.rows.map((r, i) => (
        <Table.Tr key={i}>
          <Table.Td>
            <SimLink imsi={r.imsi} />
          </Table.Td>
          <Table.Td>{r.fields.join(", ")}</Table.Td>
          <Table.Td>{r.why}</Table.Td>
        </Table.Tr>
      ))}
    </Lines>
  );
}

interface LinesProps {
  title: string;
  heads: string[];
  list: { rows: unknown[]; more: boolean; readMore: () => void; error: Error | null };
  children: ReactNode;
}

function Lines({ title, heads, list, children }: LinesProps) {
  const { messages: t } = useLanguage();
  if (list.rows.length === 0 && !list.error) return null;
  return (
    <section>
      <Title order={3} size="h5">
        {title}
      </Title>
      {list.error && <Fault error={list.error} />}
      <div className="results" tabIndex={0} role="region" aria-label={title}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              {heads.map((h) => (
                <Table.Th key={h}>{h}</Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>{children}</Table.Tbody>
        </Table>
      </div>
      {list.more && (
        <Button size="xs" variant="default" mt="xs" onClick={list.readMore}>
          {t.table.more}
        </Button>
      )}
      {list.rows.length === 0 && <Text size="sm">{t.words.none}</Text>}
    </section>
  );
}
