// What will happen to SIMs by itself, and what became of it: planned changes and ends of contracts, of all SIMs.

import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api, must, once, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { useAct } from "../../frame/act";
import { Facts, Pill, Screen, Side, SimLink, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { ReasonDialog } from "../../frame/ReasonDialog";
import { useT, word } from "../../i18n";
import { DataTable, type Column } from "../../table/DataTable";
import { useUrlValue, useUrlValues } from "../../url/state";
import { paged } from "../paged";

type Schedule = Schemas["Schedule"];
const FILTERS = ["state", "kind"] as const;

export default function Schedules() {
  const t = useT();
  const [filter] = useUrlValues(FILTERS);
  const [, setOpen] = useUrlValue("open");
  const list = useList(["schedules", filter], (cursor) => must(api.GET("/api/v1/schedules", { params: { query: paged(filter, cursor) } })));
  const columns = useMemo<Column<Schedule>[]>(
    () => [
      { id: "at", head: t.fields.at, cell: (s) => <When at={s.at} />, by: (s) => s.at, width: 190 },
      { id: "imsi", head: t.fields.imsi, cell: (s) => <SimLink imsi={s.imsi} />, by: (s) => s.imsi, width: 160 },
      { id: "action", head: t.fields.action, cell: (s) => word(t.words, s.action), by: (s) => s.action, width: 110 },
      { id: "kind", head: t.fields.kind, cell: (s) => word(t.schedules.kinds, s.kind), by: (s) => s.kind, width: 130 },
      { id: "state", head: t.fields.state, cell: (s) => <Pill value={s.state} />, by: (s) => s.state },
      { id: "outcome", head: t.schedules.outcome, cell: (s) => word(t.schedules.outcomes, s.outcome), by: (s) => s.outcome ?? "", width: 170 },
      { id: "reason", head: t.fields.reason, cell: (s) => s.reason, by: (s) => s.reason, width: 200 },
      { id: "actor", head: t.fields.who, cell: (s) => s.actor, by: (s) => s.actor, width: 130 },
    ],
    [t],
  );
  const states = (["waiting", "done", "dropped", "cancelled"] as const).map((s) => ({ value: s, label: t.words[s] }));
  const kinds = (["planned", "end-date"] as const).map((k) => ({ value: k, label: t.schedules.kinds[k] }));
  return (
    <Screen title={t.nav.schedules}>
      <DataTable
        name="schedules"
        label={t.nav.schedules}
        list={list}
        columns={columns}
        rowId={(s) => String(s.id)}
        open={(s) => setOpen(String(s.id))}
        filters={[
          { name: "state", label: t.fields.state, choices: states },
          { name: "kind", label: t.fields.kind, choices: kinds },
        ]}
        empty={t.schedules.empty}
      />
      <Side title={t.nav.schedules}>{(id) => <One key={id} id={Number(id)} />}</Side>
    </Screen>
  );
}

function One({ id }: { id: number }) {
  const t = useT();
  const may = useMay();
  const [asking, setAsking] = useState(false);
  const q = useQuery({
    queryKey: ["schedules", "one", id],
    queryFn: () => must(api.GET("/api/v1/schedules/{id}", { params: { path: { id } } })),
  });
  const cancel = useAct({
    run: () => must(api.DELETE("/api/v1/schedules/{id}", { params: { path: { id }, header: once() } })),
    done: t.frame.done,
    touches: ["schedules"],
    after: () => setAsking(false),
  });
  if (q.error) return <Fault error={q.error} again={() => void q.refetch()} />;
  const s = q.data;
  if (!s) return null;
  return (
    <>
      <Facts
        facts={[
          [t.fields.imsi, <SimLink key="i" imsi={s.imsi} />],
          [t.fields.action, word(t.words, s.action)],
          [t.fields.kind, word(t.schedules.kinds, s.kind)],
          [t.fields.at, <When key="a" at={s.at} />],
          [t.fields.state, <Pill key="s" value={s.state} />],
          [t.schedules.outcome, word(t.schedules.outcomes, s.outcome)],
          [t.fields.end, <When key="e" at={s.ended} />],
          [t.fields.who, s.actor],
          [t.fields.reason, s.reason],
          [t.frame.ticket, s.ticket],
          [t.fields.created, <When key="c" at={s.created} />],
        ]}
      />
      {s.state === "waiting" && may("provision") && (
        <Button mt="md" size="xs" variant="default" className="danger" onClick={() => setAsking(true)}>
          {t.schedules.cancel}
        </Button>
      )}
      {asking && <ReasonDialog plain title={t.schedules.cancelSure} action={t.schedules.cancel} act={cancel} close={() => setAsking(false)} />}
    </>
  );
}
