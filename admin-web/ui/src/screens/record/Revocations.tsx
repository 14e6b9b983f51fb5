// Bans, unbans and restrictions with their signed receipts, and unbans that wait for a second person.

import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api, must, once, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { useAct } from "../../frame/act";
import { Facts, Pill, Screen, Side, SimLink, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { ReasonDialog, type Reason } from "../../frame/ReasonDialog";
import { useT, word } from "../../i18n";
import { DataTable, type Column } from "../../table/DataTable";
import { useUrlValue, useUrlValues } from "../../url/state";
import { Receipt } from "../lost/Receipts";
import "../lost/lost.css";
import { paged } from "../paged";

type Revocation = Schemas["Revocation"];
const FILTERS = ["kind", "imsi"] as const;
const KINDS = ["ban", "unban", "quarantine", "release", "panic", "calm"] as const;

export default function Revocations() {
  const t = useT();
  const [filter] = useUrlValues(FILTERS);
  const [, setOpen] = useUrlValue("open");
  const list = useList(["revocations", filter], (cursor) => must(api.GET("/api/v1/revocations", { params: { query: paged(filter, cursor) } })));
  const columns = useMemo<Column<Revocation>[]>(
    () => [
      { id: "at", head: t.fields.at, cell: (r) => <When at={r.at} />, by: (r) => r.at, width: 190 },
      { id: "kind", head: t.fields.kind, cell: (r) => word(t.words, r.kind), by: (r) => r.kind, width: 100 },
      { id: "scope", head: t.fields.scope, cell: (r) => word(t.lost.scopes, r.scope), by: (r) => r.scope, width: 90 },
      { id: "value", head: t.fields.value, cell: (r) => (r.scope === "sim" ? <SimLink imsi={r.value} /> : r.value), by: (r) => r.value, width: 160 },
      { id: "state", head: t.fields.state, cell: (r) => r.state && <Pill value={r.state} />, by: (r) => r.state ?? "", width: 100 },
      { id: "sims", head: t.fields.sims, cell: (r) => r.sims, by: (r) => r.sims, width: 70 },
      { id: "actor", head: t.fields.who, cell: (r) => r.actor, by: (r) => r.actor, width: 130 },
      { id: "reason", head: t.fields.reason, cell: (r) => r.reason, by: (r) => r.reason, width: 200 },
      { id: "ticket", head: t.fields.ticket, cell: (r) => r.ticket, by: (r) => r.ticket },
    ],
    [t],
  );
  return (
    <Screen title={t.nav.revocations}>
      <Requests />
      <DataTable
        name="revocations"
        label={t.nav.revocations}
        list={list}
        columns={columns}
        rowId={(r) => r.id}
        open={(r) => setOpen(r.id)}
        filters={[
          { name: "kind", label: t.fields.kind, choices: KINDS.map((k) => ({ value: k, label: t.words[k] })) },
          { name: "imsi", label: t.fields.imsi },
        ]}
        empty={t.revocations.empty}
      />
      <Side title={t.nav.revocations}>{(id) => <One id={id} />}</Side>
    </Screen>
  );
}

function One({ id }: { id: string }) {
  const t = useT();
  const q = useQuery({
    queryKey: ["revocations", "one", id],
    queryFn: () => must(api.GET("/api/v1/revocations/{id}", { params: { path: { id } } })),
    refetchInterval: 3_000,
  });
  const r = q.data;
  if (q.error) return <Fault error={q.error} />;
  if (!r) return null;
  return (
    <Stack gap="md">
      <Facts
        facts={[
          [t.fields.at, <When key="a" at={r.at} />],
          [t.fields.kind, word(t.words, r.kind)],
          [t.fields.scope, `${word(t.lost.scopes, r.scope)} ${r.value}`],
          [t.fields.sims, r.sims],
          [t.fields.who, r.actor],
          [t.fields.origin, r.origin],
          [t.fields.reason, r.reason],
          [t.fields.ticket, r.ticket],
          [t.fields.requestId, r.request_id],
        ]}
      />
      {r.receipts.map((x) => (
        <Receipt key={x.imsi} receipt={x} />
      ))}
    </Stack>
  );
}

function Requests() {
  const t = useT();
  const may = useMay();
  const [asking, setAsking] = useState<{ request: Schemas["UnbanRequest"]; kind: "approve" | "refuse" }>();
  const q = useQuery({
    queryKey: ["revocations", "requests"],
    queryFn: () => must(api.GET("/api/v1/unban-requests", { params: { query: { limit: 50 } } })),
    refetchInterval: 15_000,
  });
  const open = q.data?.items.filter((r) => r.decided == null) ?? [];
  if (open.length === 0) return null;
  return (
    <section>
      <Title order={2} size="h4">
        {t.revocations.requests}
      </Title>
      {open.map((r) => (
        <Group key={r.id} gap="sm">
          {r.imsi ? <SimLink imsi={r.imsi} /> : <Text size="sm">{whom(r)}</Text>}
          <Text size="sm">{t.revocations.asks(r.asked_by, r.reason)}</Text>
          <When at={r.expires} />
          {may("approve") && (
            <>
              <Button size="xs" onClick={() => setAsking({ request: r, kind: "approve" })}>
                {t.revocations.approve}
              </Button>
              <Button size="xs" variant="default" onClick={() => setAsking({ request: r, kind: "refuse" })}>
                {t.revocations.refuse}
              </Button>
            </>
          )}
        </Group>
      ))}
      {asking && <Decide {...asking} close={() => setAsking(undefined)} />}
    </section>
  );
}

function Decide({ request, kind, close }: { request: Schemas["UnbanRequest"]; kind: "approve" | "refuse"; close: () => void }) {
  const t = useT();
  const act = useAct({
    run: async ({ reason }: Reason) => {
      const params = { path: { id: request.id }, header: once() };
      if (kind === "approve") await must(api.POST("/api/v1/unban-requests/{id}/approve", { params, body: { reason } }));
      else await must(api.POST("/api/v1/unban-requests/{id}/refuse", { params, body: { reason } }));
    },
    done: t.frame.done,
    touches: ["revocations", "sims"],
    after: close,
    fields: ["reason"],
  });
  return <ReasonDialog title={`${t.revocations[kind]}: ${whom(request)}`} action={t.revocations[kind]} act={act} close={close} danger={false} />;
}

/** Whom an unban is for: a SIM, or a device that was banned by its number. */
function whom(r: Schemas["UnbanRequest"]): string {
  return r.imsi ?? r.device ?? "";
}
