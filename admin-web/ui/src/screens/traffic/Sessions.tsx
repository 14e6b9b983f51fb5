// Who is connected at this moment, where, and with which address.

import { Button } from "@mantine/core";
import { useMemo, useState } from "react";
import { api, must, once, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { useAct } from "../../frame/act";
import { Facts, Pill, Screen, Side, SimLink, When } from "../../frame/bits";
import { useMay } from "../../frame/me";
import { ReasonDialog } from "../../frame/ReasonDialog";
import { useT } from "../../i18n";
import { bitRate } from "../../i18n/units";
import { DataTable, type Column } from "../../table/DataTable";
import { useUrlValue, useUrlValues } from "../../url/state";
import { paged } from "../paged";

type Session = Schemas["Session"];
const FILTERS = ["imsi", "dnn", "kind"] as const;

export default function Sessions() {
  const t = useT();
  const [filter] = useUrlValues(FILTERS);
  const [, setOpen] = useUrlValue("open");
  const list = useList(["sessions", filter], (cursor) => must(api.GET("/api/v1/sessions", { params: { query: paged(filter, cursor) } })), 5_000);
  const columns = useMemo<Column<Session>[]>(
    () => [
      { id: "imsi", head: t.fields.imsi, cell: (s) => <SimLink imsi={s.imsi} />, by: (s) => s.imsi, width: 160 },
      { id: "ip", head: t.fields.ip, cell: (s) => s.ip, by: (s) => s.ip, width: 130 },
      { id: "dnn", head: t.fields.dnn, cell: (s) => s.dnn, by: (s) => s.dnn },
      {
        id: "connected",
        head: t.fields.connected,
        cell: (s) => (s.banned ? <Pill value="banned" text={t.sessions.cut} /> : <Pill value={s.connected ? "up" : "stock"} text={s.connected ? t.sessions.connected : t.sessions.idle} />),
        by: (s) => Number(s.connected),
        width: 140,
      },
      { id: "kind", head: t.fields.kind, cell: (s) => t.sessions[s.kind], by: (s) => s.kind, width: 120 },
      { id: "gnb", head: t.fields.gnb, cell: (s) => s.gnb, by: (s) => s.gnb ?? "" },
      { id: "smf", head: t.fields.smf, cell: (s) => s.smf, by: (s) => s.smf ?? "" },
      { id: "cell", head: t.fields.cell, cell: (s) => s.cell, by: (s) => s.cell ?? "" },
      { id: "tai", head: t.fields.tai, cell: (s) => s.tai, by: (s) => s.tai ?? "", width: 140 },
      { id: "since", head: t.fields.since, cell: (s) => <When at={s.since} />, by: (s) => s.since, width: 190 },
    ],
    [t],
  );
  return (
    <Screen title={t.nav.sessions}>
      <DataTable
        name="sessions"
        label={t.nav.sessions}
        list={list}
        columns={columns}
        rowId={(s) => s.id}
        open={(s) => setOpen(s.id)}
        filters={[
          { name: "imsi", label: t.fields.imsi },
          { name: "dnn", label: t.fields.dnn },
          { name: "kind", label: t.fields.kind, choices: (["own", "foreign"] as const).map((value) => ({ value, label: t.sessions[value] })) },
        ]}
        empty={t.sessions.empty}
      />
      <Side title={t.nav.sessions}>{(id) => <One session={list.rows.find((s) => s.id === id)} />}</Side>
    </Screen>
  );
}

function One({ session: s }: { session: Session | undefined }) {
  const t = useT();
  const may = useMay();
  const [, setOpen] = useUrlValue("open");
  const [ending, setEnding] = useState(false);
  const end = useAct({
    run: (id: string) => must(api.DELETE("/api/v1/sessions/{id}", { params: { path: { id }, header: once() } })),
    done: t.sessions.ended,
    touches: ["sessions", "system"],
    after: () => setOpen(""),
  });
  if (!s) return <>{t.sessions.gone}</>;
  return (
    <>
      <Facts
        facts={[
          [t.fields.imsi, <SimLink key="i" imsi={s.imsi} />],
          [t.fields.kind, t.sessions[s.kind]],
          [t.fields.ip, s.ip],
          [t.fields.prefix, s.prefix],
          [t.fields.dnn, s.dnn],
          [t.fields.slice, s.slice],
          [t.fields.smf, s.smf],
          [t.fields.seid, s.seid],
          [t.fields.uplink, s.uplink_bps == null ? null : bitRate(s.uplink_bps)],
          [t.fields.downlink, s.downlink_bps == null ? null : bitRate(s.downlink_bps)],
          [t.fields.gnb, s.gnb],
          [t.fields.cell, s.cell],
          [t.fields.tai, s.tai],
          [t.fields.since, <When key="s" at={s.since} />],
        ]}
      />
      {may("sessions") && (
        <Button mt="md" color="red" size="xs" onClick={() => setEnding(true)}>
          {t.sessions.end}
        </Button>
      )}
      {ending && (
        <ReasonDialog
          plain
          title={t.sessions.endSure(s.imsi)}
          action={t.sessions.end}
          act={{ ...end, go: () => end.go(s.id) }}
          close={() => setEnding(false)}
        />
      )}
    </>
  );
}
