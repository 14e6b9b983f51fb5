// Tokens for scripts. A token is shown once, when it is made.

import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api, must, once, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { Form, type Draft } from "../../form/Form";
import { useAct } from "../../frame/act";
import { Facts, Pill, Screen, Side, When } from "../../frame/bits";
import { Once } from "../../frame/Once";
import { ReasonDialog } from "../../frame/ReasonDialog";
import { useT } from "../../i18n";
import { DataTable, type Column } from "../../table/DataTable";
import { useUrlValue } from "../../url/state";
import { paged } from "../paged";
import { grantWords } from "./Operators";

type Token = Schemas["Token"];

export default function Tokens() {
  const t = useT();
  const [, setOpen] = useUrlValue("open");
  const list = useList(["tokens"], (cursor) => must(api.GET("/api/v1/tokens", { params: { query: paged({}, cursor) } })));
  const columns = useMemo<Column<Token>[]>(
    () => [
      { id: "label", head: t.fields.label, cell: (x) => x.label, by: (x) => x.label, width: 160 },
      { id: "grants", head: t.fields.roles, cell: grantWords, width: 220 },
      { id: "state", head: t.fields.state, cell: (x) => <Pill value={stateOf(x)} text={t.tokens[stateOf(x)]} />, by: stateOf, width: 110 },
      { id: "provider", head: t.fields.signedInBy, cell: byWhom, by: byWhom, width: 150 },
      { id: "expires", head: t.fields.expires, cell: (x) => <When at={x.expires} />, by: (x) => x.expires ?? "", width: 190 },
      { id: "used", head: t.fields.lastUsed, cell: (x) => <When at={x.last_used} />, by: (x) => x.last_used ?? "", width: 190 },
      { id: "addresses", head: t.fields.addresses, cell: (x) => x.addresses.join(", "), width: 140 },
      { id: "by", head: t.fields.who, cell: (x) => x.created_by, by: (x) => x.created_by, width: 130 },
    ],
    [t],
  );
  return (
    <Screen title={t.nav.tokens}>
      <DataTable
        name="tokens"
        label={t.nav.tokens}
        list={list}
        columns={columns}
        rowId={(x) => x.id}
        open={(x) => setOpen(x.id)}
        empty={t.tokens.empty}
        actions={
          <Button size="xs" onClick={() => setOpen("+")}>
            {t.frame.add}
          </Button>
        }
      />
      <Side title={t.nav.tokens}>{(id) => (id === "+" ? <Make /> : <One token={list.rows.find((x) => x.id === id)} />)}</Side>
    </Screen>
  );
}

/** Of a sign-in: by an operator's password, or by a provider; empty for a token of a script. */
function byWhom(x: Token): string {
  return x.provider ? `${x.provider}: ${x.subject}` : (x.operator ?? "");
}

function stateOf(x: Token): "active" | "revoked" | "suspended" | "expired" {
  if (x.revoked) return "revoked";
  if (x.suspended) return "suspended";
  return x.expires && new Date(x.expires).getTime() < Date.now() ? "expired" : "active";
}

function Make() {
  const t = useT();
  const [, setOpen] = useUrlValue("open");
  const [made, setMade] = useState<Schemas["MadeToken"]>();
  const roles = useQuery({ queryKey: ["roles"], queryFn: () => must(api.GET("/api/v1/roles")), staleTime: Infinity });
  const act = useAct({
    run: (d: Draft) => must(api.POST("/api/v1/tokens", { params: { header: once() }, body: d as Schemas["NewToken"] })),
    touches: ["tokens"],
    after: setMade,
    fields: ["label", "roles", "scopes", "groups", "sites", "addresses", "expires"],
  });
  if (made) return <Once text={made.secret} />;
  return (
    <Form
      fields={[
        { name: "label", label: t.fields.label, required: true },
        { name: "roles", label: t.fields.roles, kind: "words", choices: (roles.data ?? []).map((r) => ({ value: r.name, label: r.name })) },
        { name: "groups", label: t.operators.onlyGroups, kind: "words" },
        { name: "sites", label: t.operators.onlySites, kind: "words" },
        { name: "addresses", label: t.fields.addresses, kind: "words", help: t.tokens.addressHelp },
        { name: "expires", label: t.fields.expires, kind: "time" },
      ]}
      first={{ label: "", roles: [], groups: [], sites: [], addresses: [] }}
      existing={false}
      act={act}
      action={t.frame.add}
      onCancel={() => setOpen("")}
    />
  );
}

function One({ token: x }: { token: Token | undefined }) {
  const t = useT();
  const [, setOpen] = useUrlValue("open");
  const [revoking, setRevoking] = useState(false);
  const revoke = useAct({
    run: (id: string) => must(api.DELETE("/api/v1/tokens/{id}", { params: { path: { id }, header: once() } })),
    done: t.tokens.isRevoked,
    touches: ["tokens"],
    after: () => setOpen(""),
  });
  const resume = useAct({
    run: (id: string) => must(api.POST("/api/v1/tokens/{id}/resume", { params: { path: { id }, header: once() } })),
    done: t.tokens.isResumed,
    touches: ["tokens"],
  });
  if (!x) return null;
  return (
    <>
      <Facts
        facts={[
          [t.fields.label, x.label],
          [t.fields.id, x.id],
          [t.fields.roles, grantWords(x)],
          [t.fields.state, t.tokens[stateOf(x)]],
          [t.fields.signedInBy, byWhom(x)],
          [t.fields.created, <When key="c" at={x.created} />],
          [t.fields.who, x.created_by],
          [t.fields.expires, <When key="e" at={x.expires} />],
          [t.fields.lastUsed, <When key="l" at={x.last_used} />],
        ]}
      />
      {stateOf(x) === "suspended" && (
        <Button mt="md" mr="md" size="xs" variant="default" loading={resume.busy} onClick={() => resume.go(x.id)}>
          {t.tokens.resume}
        </Button>
      )}
      {!x.revoked && (
        <Button mt="md" size="xs" color="red" onClick={() => setRevoking(true)}>
          {t.tokens.revoke}
        </Button>
      )}
      {revoking && (
        <ReasonDialog
          plain
          title={t.tokens.revokeSure(x.label || x.id)}
          action={t.tokens.revoke}
          act={{ ...revoke, go: () => revoke.go(x.id) }}
          close={() => setRevoking(false)}
        />
      )}
    </>
  );
}
