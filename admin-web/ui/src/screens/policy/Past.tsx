// Generations of the policy: who made each and why, what it changed line by line, and the way back.

import { Button, Group, Loader, Text, Title } from "@mantine/core";
import { useQueries } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api, must, once, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { useAct } from "../../frame/act";
import { Facts, Pill, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { ReasonDialog, type Reason } from "../../frame/ReasonDialog";
import { useT } from "../../i18n";
import { DataTable, type Column } from "../../table/DataTable";
import { useUrlValue, useUrlValues } from "../../url/state";
import { paged } from "../paged";
import { difference, shortened, type Shown } from "./diff";
import { keepDraft } from "./draft";
import { useStored } from "./PolicyFile";

type Step = Schemas["PolicyGeneration"];

/** What the first row of the history is called: what was before is not known. */
const BEGIN = "begin";

export function Past() {
  const t = useT();
  const [open, setOpen] = useUrlValue("generation");
  const list = useList(["rules", "history"], (cursor) => must(api.GET("/api/v1/policies/history", { params: { query: paged({}, cursor) } })));
  const columns = useMemo<Column<Step>[]>(
    () => [
      { id: "generation", head: t.policy.generation, cell: (s) => s.generation, by: (s) => s.generation, width: 100 },
      { id: "at", head: t.fields.at, cell: (s) => <When at={s.at} />, by: (s) => s.at, width: 180 },
      { id: "actor", head: t.fields.who, cell: (s) => s.actor, by: (s) => s.actor, width: 150 },
      { id: "action", head: t.fields.action, cell: (s) => s.action, by: (s) => s.action, width: 130 },
      { id: "object", head: t.fields.object, cell: (s) => s.object, by: (s) => s.object, width: 150 },
      { id: "reason", head: t.fields.reason, cell: (s) => s.reason, by: (s) => s.reason, width: 240 },
    ],
    [t],
  );
  const step = list.rows.find((s) => String(s.generation) === open);
  // A SIM that only changed its groups makes a generation that is none of the history.
  const stored = useStored().data?.generation;
  return (
    <>
      <DataTable
        name="policy-history"
        label={t.policy.tabs.history}
        list={list}
        columns={columns}
        rowId={(s) => String(s.generation)}
        open={(s) => setOpen(String(s.generation))}
        empty={t.policy.historyEmpty}
      />
      {step && stored !== undefined && <One key={step.generation} step={step} stored={stored} newest={step === list.rows[0]} />}
    </>
  );
}

function One({ step, stored, newest }: { step: Step; stored: number; newest: boolean }) {
  const t = useT();
  const may = useMay()("policy");
  const [, write] = useUrlValues(["tab", "generation"]);
  const [back, setBack] = useState(false);
  const first = step.action === BEGIN;
  const text = useTexts([step.generation, ...(first ? [] : [step.generation - 1])]);
  const [now, before] = text.texts;
  const title = t.policy.difference(step.generation - 1, step.generation);
  const draft = () => {
    if (now === undefined) return;
    keepDraft({ text: now, base: stored });
    write({ tab: "", generation: "" });
  };
  return (
    <section>
      <Group gap="xs">
        <Title order={2} size="h4">
          {title}
        </Title>
        {newest && <Pill value="good" text={t.policy.isStored} />}
        {may && !newest && (
          <Button size="xs" variant="default" className="danger" onClick={() => setBack(true)}>
            {t.policy.rollback}
          </Button>
        )}
        {may && !newest && (
          <Button size="xs" variant="default" disabled={now === undefined} onClick={draft}>
            {t.policy.toDraft}
          </Button>
        )}
      </Group>
      <Facts facts={[[t.fields.who, step.actor], [t.fields.action, `${step.action} ${step.object}`], [t.fields.reason, step.reason]]} />
      {text.error && <Fault error={text.error} />}
      {first && <Text size="sm">{t.policy.begin}</Text>}
      {now !== undefined && before !== undefined && <Difference before={before} after={now} label={title} />}
      {text.waiting && <Loader size="sm" />}
      {back && <Rollback generation={step.generation} stored={stored} close={() => setBack(false)} />}
    </section>
  );
}

/** The texts of generations, which never change. */
function useTexts(generations: number[]) {
  return useQueries({
    queries: generations.map((generation) => ({
      queryKey: ["policy-text", generation],
      queryFn: () => must(api.GET("/api/v1/policies/text", { params: { query: { generation } } })),
      staleTime: Infinity,
    })),
    combine: (all) => ({ texts: all.map((q) => q.data?.text), error: all.find((q) => q.error)?.error, waiting: all.some((q) => q.isPending) }),
  });
}

function Difference({ before, after, label }: { before: string; after: string; label: string }) {
  const t = useT();
  const pieces = useMemo(() => difference(before, after), [before, after]);
  if (!pieces) return <Text size="sm">{t.policy.tooLong}</Text>;
  if (pieces.every((p) => p.kind === "same")) return <Text size="sm">{t.policy.noDifference}</Text>;
  const sign = { same: " ", new: "+", gone: "−" };
  const said = (s: Shown) => (s.kind === "left-out" ? t.policy.unchangedLines(s.count) : `${sign[s.kind]} ${s.line}`);
  return (
    <div className="diff" tabIndex={0} role="region" aria-label={label}>
      {shortened(pieces).map((s, i) => (
        <div key={i} className={`diff-${s.kind}`}>
          {said(s)}
        </div>
      ))}
    </div>
  );
}

function Rollback({ generation, stored, close }: { generation: number; stored: number; close: () => void }) {
  const t = useT();
  const [, setOpen] = useUrlValue("generation");
  const act = useAct({
    run: ({ reason }: Reason) =>
      must(api.POST("/api/v1/policies/rollback", { params: { header: once() }, body: { to: generation, if_generation: stored, reason } })),
    done: (a) => (a.unchanged ? t.policy.nothing : t.policy.applied(a.generation)),
    touches: ["rules", "apps", "groups", "facts", "system"],
    after: () => {
      close();
      setOpen("");
    },
    fields: ["reason"],
  });
  return (
    <ReasonDialog title={t.policy.rollbackSure(generation)} action={t.policy.rollback} act={act} close={close} noTicket>
      <Text size="sm">{t.policy.rollbackWhat}</Text>
    </ReasonDialog>
  );
}
