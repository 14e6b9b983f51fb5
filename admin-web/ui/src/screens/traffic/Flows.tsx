// Who reached what, and what was denied. A denied flow can become a rule: its SIM, its app and the direction are filled in.

import { Button, Group } from "@mantine/core";
import { useMemo } from "react";
import { Link } from "wouter";
import { api, must, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { Facts, Pill, Screen, Side, SimLink, To, When } from "../../frame/bits";
import { useMay } from "../../frame/me";
import { useT, word } from "../../i18n";
import { useFormat } from "../../i18n/format";
import { DataTable, type Column } from "../../table/DataTable";
import { to, useUrlValue, useUrlValues } from "../../url/state";
import { paged } from "../paged";
import { serviceOf } from "./service";

type Flow = Schemas["Flow"];
const FILTERS = ["imsi", "address", "app", "verdict", "from", "to"] as const;
/** Reasons of flows that a rule allows and the app's names refuse. */
const BY_NAME = new Set(["not-tls", "no-server-name", "other-server-name", "names-need-tls", "inspect-full", "inspect-timeout", "not-inspected", "not-looked-up"]);
/** A flow has no number of its own. */
const idOf = (f: Flow) => [f.start, f.imsi, f.peer, f.peer_port, f.ue_port, f.protocol].join("~");

export default function Flows() {
  const t = useT();
  const f = useFormat();
  const [filter] = useUrlValues(FILTERS);
  const [, setOpen] = useUrlValue("open");
  const list = useList(["flows", filter], (cursor) => must(api.GET("/api/v1/flows", { params: { query: paged(filter, cursor) } })), 5_000);
  const columns = useMemo<Column<Flow>[]>(
    () => [
      { id: "start", head: t.fields.start, cell: (x) => <When at={x.start} />, by: (x) => x.start, width: 190 },
      { id: "imsi", head: t.fields.imsi, cell: (x) => <SimLink imsi={x.imsi} />, by: (x) => x.imsi, width: 160 },
      { id: "direction", head: t.fields.direction, cell: (x) => word(t.words, x.direction), by: (x) => x.direction, width: 120 },
      { id: "peer", head: t.fields.peer, cell: (x) => x.peer, by: (x) => x.peer, width: 130 },
      { id: "service", head: t.fields.services, cell: serviceOf, by: serviceOf, width: 100 },
      { id: "app", head: t.fields.app, cell: (x) => x.app, by: (x) => x.app ?? "" },
      { id: "verdict", head: t.fields.verdict, cell: (x) => <Pill value={x.verdict} />, by: (x) => x.verdict, width: 100 },
      { id: "rule", head: t.fields.rule, cell: (x) => x.rule, by: (x) => x.rule ?? "", width: 130 },
      { id: "why", head: t.fields.why, cell: (x) => word(t.reasons, x.reason), by: (x) => x.reason, width: 170 },
      { id: "name", head: t.fields.serverName, cell: (x) => x.name, by: (x) => x.name ?? "", width: 150 },
      { id: "up", head: t.fields.up, cell: (x) => f.bytes(x.bytes_up), by: (x) => x.bytes_up, width: 90 },
      { id: "down", head: t.fields.down, cell: (x) => f.bytes(x.bytes_down), by: (x) => x.bytes_down, width: 90 },
    ],
    [t, f],
  );
  return (
    <Screen title={t.nav.flows}>
      <DataTable
        name="flows"
        label={t.nav.flows}
        list={list}
        columns={columns}
        rowId={idOf}
        open={(x) => setOpen(idOf(x))}
        filters={[
          { name: "imsi", label: t.fields.imsi },
          { name: "address", label: t.fields.ip },
          { name: "app", label: t.fields.app, width: 120 },
          {
            name: "verdict",
            label: t.fields.verdict,
            width: 120,
            choices: (["allow", "deny", "reject"] as const).map((v) => ({ value: v, label: t.words[v] })),
          },
          { name: "from", label: t.fields.from, time: true },
          { name: "to", label: t.fields.until, time: true },
        ]}
        empty={t.flows.empty}
      />
      <Side title={t.nav.flows}>{(id) => <One flow={list.rows.find((x) => idOf(x) === id)} />}</Side>
    </Screen>
  );
}

function One({ flow: x }: { flow: Flow | undefined }) {
  const t = useT();
  const f = useFormat();
  const may = useMay();
  if (!x) return <>{t.flows.gone}</>;
  const service = serviceOf(x);
  return (
    <>
      <Facts
        facts={[
          [t.fields.start, <When key="s" at={x.start} />],
          [t.fields.end, <When key="e" at={x.end} />],
          [t.fields.imsi, <SimLink key="i" imsi={x.imsi} />],
          [t.fields.direction, word(t.words, x.direction)],
          ["UE", `${x.ue}${x.ue_port ? ` : ${x.ue_port}` : ""}`],
          [t.fields.peer, `${x.peer}${x.peer_port ? ` : ${x.peer_port}` : ""}`],
          [t.fields.services, service],
          [t.fields.app, x.app && <To key="a" href={to("/apps", { open: x.app })}>{x.app}</To>],
          [t.fields.serverName, x.name],
          [t.fields.verdict, <Pill key="v" value={x.verdict} />],
          [t.fields.rule, x.rule && <To href={to("/rules", { open: x.rule })}>{x.rule}</To>],
          [t.fields.why, word(t.reasons, x.reason)],
          [t.fields.up, `${f.bytes(x.bytes_up)} · ${f.number(x.packets_up)}`],
          [t.fields.down, `${f.bytes(x.bytes_down)} · ${f.number(x.packets_down)}`],
        ]}
      />
      <Group mt="md" gap="xs">
        <Button size="xs" variant="default" component={Link} href={to("/why", { imsi: x.imsi, direction: x.direction === "in" ? "in" : "", address: x.peer, service, at: x.start })}>
          {t.nav.why}
        </Button>
        {may("policy") && x.verdict !== "allow" && x.app && !BY_NAME.has(x.reason) && (
          <Button
            size="xs"
            component={Link}
            href={to("/rules", {
              open: "+",
              name: `allow-${x.app}-${x.imsi.slice(-4)}`,
              subject: `sim:${x.imsi}`,
              app: x.app,
              direction: x.direction,
              to: x.direction === "in" ? service : "",
            })}
          >
            {t.flows.makeRule}
          </Button>
        )}
        {may("policy") && x.verdict !== "allow" && !x.app && (
          <Button size="xs" component={Link} href={to("/apps", { open: "+", prefixes: `${x.peer}/32`, services: service })}>
            {t.flows.makeApp}
          </Button>
        )}
      </Group>
    </>
  );
}
