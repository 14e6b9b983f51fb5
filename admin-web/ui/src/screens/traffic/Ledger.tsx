// Who had which address, and when: one owner at any instant.

import { useMemo } from "react";
import { api, must, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { Pill, Screen, SimLink, When } from "../../frame/bits";
import { useT } from "../../i18n";
import { DataTable, type Column } from "../../table/DataTable";
import { useUrlValues } from "../../url/state";
import { paged } from "../paged";

type Lease = Schemas["AddressLine"];
const FILTERS = ["address", "imsi", "at"] as const;

export default function Ledger() {
  const t = useT();
  const [filter] = useUrlValues(FILTERS);
  const list = useList(["sessions", "ledger", filter], (cursor) =>
    must(api.GET("/api/v1/addresses", { params: { query: paged(filter, cursor) } })),
  );
  const columns = useMemo<Column<Lease>[]>(
    () => [
      { id: "ip", head: t.fields.ip, cell: (l) => l.ip, by: (l) => l.ip, width: 140 },
      { id: "imsi", head: t.fields.imsi, cell: (l) => <SimLink imsi={l.imsi} />, by: (l) => l.imsi, width: 160 },
      { id: "dnn", head: t.fields.dnn, cell: (l) => l.dnn, by: (l) => l.dnn, width: 120 },
      { id: "smf", head: t.fields.smf, cell: (l) => l.smf, by: (l) => l.smf ?? "", width: 120 },
      { id: "start", head: t.fields.from, cell: (l) => <When at={l.start} />, by: (l) => l.start, width: 190 },
      { id: "end", head: t.fields.until, cell: (l) => (l.end ? <When at={l.end} /> : <Pill value="active" text={t.ledger.now} />), by: (l) => l.end ?? "", width: 190 },
    ],
    [t],
  );
  return (
    <Screen title={t.nav.ledger}>
      <DataTable
        name="ledger"
        label={t.nav.ledger}
        list={list}
        columns={columns}
        rowId={(l) => String(l.id)}
        href={(l) => `/sims/${l.imsi}`}
        filters={[
          { name: "address", label: t.fields.ip },
          { name: "imsi", label: t.fields.imsi },
          { name: "at", label: t.ledger.at, time: true },
        ]}
        empty={t.ledger.empty}
      />
    </Screen>
  );
}
