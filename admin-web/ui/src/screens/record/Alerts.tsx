// What somebody has to look at: what it is, what to do about it, and who has taken it on.

import { Button, Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api, must, once, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { useAct } from "../../frame/act";
import { Facts, Pill, Screen, Side, SimLink, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { ReasonDialog, type Reason } from "../../frame/ReasonDialog";
import { useLanguage } from "../../i18n";
import { DataTable, type Column } from "../../table/DataTable";
import { useUrlValue, useUrlValues } from "../../url/state";
import { paged } from "../paged";

type Alert = Schemas["Alert"];
const FILTERS = ["state", "severity", "imsi"] as const;

export default function Alerts() {
  const { messages: t, language } = useLanguage();
  const [filter] = useUrlValues(FILTERS);
  const [, setOpen] = useUrlValue("open");
  const list = useList(["alerts", "list", filter, language], (cursor) =>
    must(api.GET("/api/v1/alerts", { params: { query: paged(filter, cursor) } })),
  );
  const columns = useMemo<Column<Alert>[]>(
    () => [
      { id: "last", head: t.fields.lastSeen, cell: (a) => <When at={a.last} />, by: (a) => a.last, width: 190 },
      { id: "severity", head: t.fields.severity, cell: (a) => <Pill value={a.severity} />, by: (a) => a.severity, width: 100 },
      { id: "state", head: t.fields.state, cell: (a) => <Pill value={a.state} />, by: (a) => a.state, width: 110 },
      { id: "title", head: t.fields.kind, cell: (a) => a.title, by: (a) => a.title, width: 260 },
      { id: "imsi", head: t.fields.imsi, cell: (a) => a.imsi && <SimLink imsi={a.imsi} />, by: (a) => a.imsi ?? "", width: 160 },
      { id: "count", head: t.fields.count, cell: (a) => a.count, by: (a) => a.count, width: 80 },
      { id: "by", head: t.fields.who, cell: (a) => a.by, by: (a) => a.by ?? "" },
    ],
    [t],
  );
  const choices = (names: readonly ("open" | "acknowledged" | "closed" | "critical" | "warning" | "info")[]) =>
    names.map((n) => ({ value: n, label: t.words[n] }));
  return (
    <Screen title={t.nav.alerts}>
      <DataTable
        name="alerts"
        label={t.nav.alerts}
        list={list}
        columns={columns}
        rowId={(a) => String(a.id)}
        open={(a) => setOpen(String(a.id))}
        filters={[
          { name: "state", label: t.fields.state, choices: choices(["open", "acknowledged", "closed"]) },
          { name: "severity", label: t.fields.severity, choices: choices(["critical", "warning", "info"]) },
          { name: "imsi", label: t.fields.imsi },
        ]}
        empty={t.alerts.empty}
      />
      <Side title={t.nav.alerts}>{(id) => <One id={Number(id)} />}</Side>
    </Screen>
  );
}

function One({ id }: { id: number }) {
  const { messages: t, language } = useLanguage();
  const may = useMay();
  const [asking, setAsking] = useState<"acknowledge" | "close">();
  const q = useQuery({
    queryKey: ["alerts", "one", id, language],
    queryFn: () => must(api.GET("/api/v1/alerts/{id}", { params: { path: { id } } })),
  });
  const a = q.data;
  if (q.error) return <Fault error={q.error} />;
  if (!a) return null;
  return (
    <>
      <Text fw={600}>{a.title}</Text>
      <Text size="sm">{a.text}</Text>
      <Text size="sm" my="sm">
        {t.alerts.advice}: {a.advice}
      </Text>
      <Facts
        facts={[
          [t.fields.severity, <Pill key="v" value={a.severity} />],
          [t.fields.state, <Pill key="s" value={a.state} />],
          [t.fields.imsi, a.imsi && <SimLink imsi={a.imsi} />],
          [t.fields.count, a.count],
          [t.fields.at, <When key="a" at={a.at} />],
          [t.fields.lastSeen, <When key="l" at={a.last} />],
          [t.fields.who, a.by],
          [t.fields.reason, a.reason],
        ]}
      />
      {may("alerts") && a.state !== "closed" && (
        <Group mt="md" gap="xs">
          {a.state === "open" && (
            <Button size="xs" onClick={() => setAsking("acknowledge")}>
              {t.alerts.acknowledge}
            </Button>
          )}
          <Button size="xs" variant="default" onClick={() => setAsking("close")}>
            {t.alerts.close}
          </Button>
        </Group>
      )}
      {asking && <Ask id={id} kind={asking} close={() => setAsking(undefined)} />}
    </>
  );
}

function Ask({ id, kind, close }: { id: number; kind: "acknowledge" | "close"; close: () => void }) {
  const { messages: t } = useLanguage();
  const act = useAct({
    run: ({ reason }: Reason) => {
      const params = { path: { id }, header: once() };
      return kind === "close"
        ? must(api.POST("/api/v1/alerts/{id}/close", { params, body: { reason } }))
        : must(api.POST("/api/v1/alerts/{id}/acknowledge", { params, body: { reason } }));
    },
    done: t.frame.done,
    touches: ["alerts", "overview"],
    after: close,
    fields: ["reason"],
  });
  return <ReasonDialog title={t.alerts[kind]} action={t.alerts[kind]} act={act} close={close} danger={false} />;
}
