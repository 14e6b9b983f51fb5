// Who changed what. Each row is chained to the one before; whether the chain holds is checked by the server at every
// start and once a day, and by anybody with `sekisho audit verify`.

import { Code, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { api, must, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { Age } from "../../frame/Age";
import { Facts, Pill, Screen, Side, To, When } from "../../frame/bits";
import { useT } from "../../i18n";
import { DataTable, type Column } from "../../table/DataTable";
import { to, useUrlValue, useUrlValues } from "../../url/state";
import { paged } from "../paged";

type Entry = Schemas["AuditEntry"];
const FILTERS = ["object", "actor", "action", "from", "until"] as const;

export default function Audit() {
  const t = useT();
  const [filter] = useUrlValues(FILTERS);
  const [, setOpen] = useUrlValue("open");
  const list = useList(["audit", filter], (cursor) => must(api.GET("/api/v1/audit", { params: { query: paged(filter, cursor) } })));
  const columns = useMemo<Column<Entry>[]>(
    () => [
      { id: "seq", head: t.fields.seq, cell: (e) => e.seq, by: (e) => e.seq, width: 80 },
      { id: "at", head: t.fields.at, cell: (e) => <When at={e.at} />, by: (e) => e.at, width: 190 },
      { id: "actor", head: t.fields.who, cell: (e) => e.actor, by: (e) => e.actor, width: 140 },
      { id: "action", head: t.fields.action, cell: (e) => e.action, by: (e) => e.action, width: 130 },
      { id: "object", head: t.fields.object, cell: (e) => e.object, by: (e) => e.object, width: 200 },
      { id: "reason", head: t.fields.reason, cell: (e) => e.reason, by: (e) => e.reason, width: 200 },
      { id: "origin", head: t.fields.origin, cell: (e) => e.origin, by: (e) => e.origin ?? "", width: 120 },
      { id: "hash", head: t.fields.hash, cell: (e) => <Code>{e.hash.slice(0, 12)}</Code>, width: 130 },
    ],
    [t],
  );
  return (
    <Screen title={t.nav.audit} aside={<Verified />}>
      <DataTable
        name="audit"
        label={t.nav.audit}
        list={list}
        columns={columns}
        rowId={(e) => String(e.seq)}
        open={(e) => setOpen(String(e.seq))}
        filters={[
          { name: "object", label: t.fields.object },
          { name: "actor", label: t.fields.who, width: 130 },
          { name: "action", label: t.fields.action, width: 130 },
          { name: "from", label: t.fields.from, time: true },
          { name: "until", label: t.fields.until, time: true },
        ]}
        empty={t.audit.empty}
      />
      <Side title={t.nav.audit}>{(seq) => <One entry={list.rows.find((e) => String(e.seq) === seq)} />}</Side>
    </Screen>
  );
}

/** What the server's last reading of the chain found, and when that was. */
function Verified() {
  const t = useT();
  const q = useQuery({ queryKey: ["system"], queryFn: () => must(api.GET("/api/v1/system")), refetchInterval: 5_000 });
  if (!q.data) return null;
  const read = q.data.audit;
  if (!read) return <Pill value="plain" text={t.audit.unread} />;
  if (read.broken != null) {
    return (
      <>
        <Pill value="bad" text={t.audit.broken} />
        <To href={to("/alerts")}>{t.audit.readBroken(read.broken)}</To>
      </>
    );
  }
  return (
    <>
      <Pill value="ok" text={t.audit.verified} />
      <Age at={Date.parse(read.checked)} />
      <Text size="sm" c="dimmed">
        {t.audit.verifiedHelp}
      </Text>
    </>
  );
}

function One({ entry: e }: { entry: Entry | undefined }) {
  const t = useT();
  if (!e) return <>{t.flows.gone}</>;
  const json = (v: unknown) => (v == null ? "" : <Code block>{JSON.stringify(v, null, 2)}</Code>);
  return (
    <Facts
      facts={[
        [t.fields.seq, e.seq],
        [t.fields.at, <When key="a" at={e.at} />],
        [t.fields.who, e.actor],
        [t.fields.origin, e.origin],
        [t.fields.action, e.action],
        [t.fields.object, e.object],
        [t.fields.reason, e.reason],
        [t.fields.before, json(e.before)],
        [t.fields.after, json(e.after)],
        [t.fields.requestId, e.request_id],
        [t.fields.hash, <Code key="h">{e.hash}</Code>],
      ]}
    />
  );
}
