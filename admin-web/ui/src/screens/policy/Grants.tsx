// Grants: access to one app for a time, with a reason, and somebody who answers for it.

import { Button, Group, Text } from "@mantine/core";
import { useMemo, useState, type ReactNode } from "react";
import { api, must, once, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { useNow } from "../../api/live";
import { Form, type Draft, type Field } from "../../form/Form";
import { useAct } from "../../frame/act";
import { Facts, Pill, Screen, Side, To, When } from "../../frame/bits";
import { useMay } from "../../frame/me";
import { ReasonDialog, type Reason } from "../../frame/ReasonDialog";
import { useT, word } from "../../i18n";
import { useFormat } from "../../i18n/format";
import { DataTable, type Column } from "../../table/DataTable";
import { to, useUrlValue, useUrlValues } from "../../url/state";
import { paged } from "../paged";

export type Grant = Schemas["AppGrant"];

const TONE: Record<string, string> = { waiting: "warn", planned: "calm", active: "good", revoked: "plain", over: "plain" };

export function GrantState({ grant }: { grant: Grant }) {
  const t = useT();
  return <Pill value={TONE[grant.state] ?? ""} text={word(t.grants.states, grant.state)} />;
}

/** To whom it is given, as a link to them. */
export function Grantee({ to: whom }: { to: string }) {
  const [kind, id = ""] = whom.split(":");
  return <To href={kind === "sim" ? `/sims/${id}` : to("/people", { open: id })}>{whom}</To>;
}

/** Its end, and how long it still counts. */
function Ends({ grant: g }: { grant: Grant }) {
  const t = useT();
  const f = useFormat();
  const left = Date.parse(g.until) - useNow();
  return (
    <>
      <When at={g.until} /> {g.state === "active" && left > 0 && `(${t.grants.left(f.span(left))})`}
    </>
  );
}

export default function Grants() {
  const t = useT();
  const may = useMay();
  const [, setOpen] = useUrlValue("open");
  const [all] = useUrlValue("all");
  const list = useList(["grants", all], (cursor) => must(api.GET("/api/v1/grants", { params: { query: { ...paged({}, cursor), all: all !== "" } } })));
  const columns = useMemo<Column<Grant>[]>(
    () => [
      { id: "state", head: t.fields.state, cell: (g) => <GrantState grant={g} />, by: (g) => g.state, width: 150 },
      { id: "to", head: t.grants.to, cell: (g) => <Grantee to={g.to} />, by: (g) => g.to, width: 190 },
      { id: "app", head: t.fields.app, cell: (g) => g.app, by: (g) => g.app, width: 110 },
      { id: "until", head: t.grants.ends, cell: (g) => <Ends grant={g} />, by: (g) => g.until, width: 280 },
      { id: "reason", head: t.fields.reason, cell: (g) => g.reason, by: (g) => g.reason, width: 200 },
      { id: "requester", head: t.grants.requester, cell: (g) => g.requester, by: (g) => g.requester, width: 140 },
      { id: "approver", head: t.grants.approver, cell: (g) => g.approver, by: (g) => g.approver ?? "", width: 140 },
      { id: "from", head: t.grants.begins, cell: (g) => <When at={g.from} />, by: (g) => g.from, width: 180 },
    ],
    [t],
  );
  return (
    <Screen title={t.nav.grants}>
      <DataTable
        name="grants"
        label={t.nav.grants}
        list={list}
        columns={columns}
        rowId={(g) => g.id}
        open={(g) => setOpen(g.id)}
        filters={[{ name: "all", label: t.grants.show, choices: [{ value: "yes", label: t.grants.all }], width: 200, none: t.grants.only }]}
        empty={t.grants.empty}
        actions={
          may("policy") && (
            <Button size="xs" onClick={() => setOpen("+")}>
              {t.grants.ask}
            </Button>
          )
        }
      />
      <Side title={t.nav.grants}>{(id) => (id === "+" ? <Ask /> : <One grant={list.rows.find((g) => g.id === id)} loading={list.loading} />)}</Side>
    </Screen>
  );
}

/** What the form begins with where a link says it. */
const GIVEN = ["to", "app"] as const;

function Ask() {
  const t = useT();
  const [given] = useUrlValues(GIVEN);
  const [, write] = useUrlValues(["open", ...GIVEN]);
  const close = () => write({ open: "", to: "", app: "" });
  const fields: Field[] = [
    { name: "to", label: t.grants.to, help: t.grants.toHelp, required: true },
    { name: "app", label: t.fields.app, required: true },
    { name: "reason", label: t.fields.reason, required: true },
    { name: "from", label: t.grants.from, kind: "time" },
    { name: "until", label: t.grants.ends, kind: "time", required: true, help: t.grants.untilHelp },
  ];
  const act = useAct({
    run: (d: Draft) => {
      const body = { to: text(d, "to"), app: text(d, "app"), reason: text(d, "reason"), until: text(d, "until"), from: (d["from"] as string | null) ?? null };
      return must(api.POST("/api/v1/grants", { params: { header: once() }, body }));
    },
    done: (g: Grant) => (g.state === "waiting" ? t.grants.asked : t.grants.granted),
    touches: ["grants", "rules"],
    after: close,
    fields: fields.map((f) => f.name),
  });
  return <Form fields={fields} first={{ ...given, reason: "", until: "" }} existing={false} act={act} action={t.grants.ask} onCancel={close} />;
}

function text(d: Draft, name: string): string {
  return String(d[name] ?? "").trim();
}

type Deed = "approve" | "revoke";

function One({ grant: g, loading }: { grant: Grant | undefined; loading: boolean }) {
  const t = useT();
  const may = useMay();
  const [doing, setDoing] = useState<Deed>();
  if (!g) return loading ? null : <Text size="sm">{t.grants.gone}</Text>;
  const counts = g.state === "waiting" || g.state === "planned" || g.state === "active";
  return (
    <>
      {g.state === "waiting" && (
        <Text size="sm" mb="sm" role="note">
          {t.grants.waits}
        </Text>
      )}
      <Facts
        facts={[
          [t.fields.state, <GrantState key="s" grant={g} />],
          [t.grants.to, <Grantee key="t" to={g.to} />],
          [t.fields.app, <To key="a" href={to("/apps", { open: g.app })}>{g.app}</To>],
          [t.fields.reason, g.reason],
          [t.grants.requester, g.requester],
          [t.grants.approver, g.approver],
          [t.grants.begins, <When key="f" at={g.from} />],
          [t.grants.ends, <Ends key="u" grant={g} />],
          ...(g.revoked ? [[t.grants.states.revoked, <When key="r" at={g.revoked} />] satisfies [string, ReactNode]] : []),
          [t.fields.id, g.id],
        ]}
      />
      <Group gap="xs" mt="md">
        {g.state === "waiting" && may("approve") && (
          <Button size="xs" onClick={() => setDoing("approve")}>
            {t.grants.approve}
          </Button>
        )}
        {counts && may("policy") && (
          <Button size="xs" variant="default" className="danger" onClick={() => setDoing("revoke")}>
            {t.grants.revoke}
          </Button>
        )}
      </Group>
      {doing && <Do deed={doing} grant={g} close={() => setDoing(undefined)} />}
    </>
  );
}

function Do({ deed, grant: g, close }: { deed: Deed; grant: Grant; close: () => void }) {
  const t = useT();
  const act = useAct({
    run: ({ reason }: Reason) => {
      const ask = { params: { path: { id: g.id }, header: once() }, body: { reason } };
      return deed === "approve" ? must(api.POST("/api/v1/grants/{id}/approve", ask)) : must(api.POST("/api/v1/grants/{id}/revoke", ask));
    },
    done: t.frame.done,
    touches: ["grants", "rules"],
    after: close,
    fields: ["reason"],
  });
  return (
    <ReasonDialog title={`${t.grants[deed]}: ${g.to} → ${g.app}`} action={t.grants[deed]} act={act} close={close} danger={deed === "revoke"} noTicket>
      <Text size="sm">{t.grants[`${deed}What`]}</Text>
    </ReasonDialog>
  );
}
