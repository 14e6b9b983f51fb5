// All SIMs: found, chosen across pages, changed in bulk.

import { Button } from "@mantine/core";
import { useMemo, useState } from "react";
import { api, must, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { Pill, Screen, When } from "../../frame/bits";
import { useMay } from "../../frame/me";
import { useT } from "../../i18n";
import { DataTable, type Column } from "../../table/DataTable";
import { useSelection } from "../../table/selection";
import type { Filter } from "../../table/Toolbar";
import { readSort, useUrlValue, useUrlValues } from "../../url/state";
import { paged } from "../paged";
import { Bulk } from "./Bulk";

type Sim = Schemas["Sim"];

export const STATES = ["stock", "ready", "active", "suspended", "lost", "stolen", "retired"] as const;
/** Columns that the server sorts by: an address from elsewhere may name others. */
const SORTED = new Set(["imsi", "label", "iccid", "state", "changed", "last_seen"]);
const FILTERS = ["q", "state", "group", "person", "device", "site"] as const;

export default function Sims() {
  const t = useT();
  const may = useMay();
  const [filter] = useUrlValues(FILTERS);
  const selection = useSelection();
  const [bulk, setBulk] = useState(false);
  const [sortText] = useUrlValue("sort");
  const sort = SORTED.has(readSort(sortText)?.column ?? "") ? sortText : "";
  const list = useList(["sims", filter, sort], (cursor) =>
    must(api.GET("/api/v1/sims", { params: { query: paged({ ...filter, sort }, cursor) } })),
  );
  const columns = useMemo<Column<Sim>[]>(
    () => [
      { id: "imsi", head: t.fields.imsi, cell: (s) => s.imsi, by: (s) => s.imsi, width: 150, server: true },
      { id: "label", head: t.fields.label, cell: (s) => s.label, by: (s) => s.label, width: 150, server: true },
      { id: "state", head: t.fields.state, cell: (s) => <Pill value={s.state} />, by: (s) => s.state, width: 110, server: true },
      { id: "person", head: t.fields.person, cell: (s) => s.person, by: (s) => s.person ?? "", width: 110 },
      { id: "device", head: t.fields.device, cell: (s) => s.device_id, by: (s) => s.device_id ?? "", width: 110 },
      { id: "site", head: t.fields.site, cell: (s) => s.site, by: (s) => s.site ?? "", width: 90 },
      { id: "groups", head: t.fields.groups, cell: (s) => s.groups.join(", "), by: (s) => s.groups.join(), width: 130 },
      { id: "dnns", head: t.fields.dnns, cell: (s) => s.dnns.join(", "), by: (s) => s.dnns.join(), width: 120 },
      { id: "changed", head: t.fields.changed, cell: (s) => <When at={s.changed} />, by: (s) => s.changed, width: 190, server: true },
      { id: "last_seen", head: t.fields.lastSign, cell: (s) => <When at={s.last_seen} />, by: (s) => s.last_seen ?? "", width: 190, server: true },
      { id: "iccid", head: t.fields.iccid, cell: (s) => s.iccid, by: (s) => s.iccid ?? "", width: 180, extra: true, server: true },
      { id: "created", head: t.fields.created, cell: (s) => <When at={s.created} />, by: (s) => s.created, width: 190, extra: true },
    ],
    [t],
  );
  const filters: Filter[] = [
    { name: "q", label: t.fields.query, width: 200 },
    { name: "state", label: t.fields.state, choices: STATES.map((s) => ({ value: s, label: t.words[s] })), width: 120 },
    { name: "group", label: t.fields.group, width: 110 },
    { name: "person", label: t.fields.person, width: 110 },
    { name: "device", label: t.fields.device, width: 110 },
    { name: "site", label: t.fields.site, width: 110 },
  ];
  const canChange = may("provision");
  return (
    <Screen title={t.nav.sims}>
      <DataTable
        name="sims"
        label={t.nav.sims}
        list={list}
        columns={columns}
        rowId={(s) => s.imsi}
        href={(s) => `/sims/${s.imsi}`}
        filters={filters}
        selection={canChange ? selection : undefined}
        empty={t.sims.empty}
        actions={
          canChange && (
            <Button size="xs" onClick={() => setBulk(true)}>
              {t.sims.bulk}
            </Button>
          )
        }
      />
      {bulk && <Bulk selection={selection} filter={filter} close={() => setBulk(false)} />}
    </Screen>
  );
}
