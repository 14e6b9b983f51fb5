// Operators and what they may do. A password is made by the server and shown once.

import { Button, Group, Stack, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api, ifMatch, must, once, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { Form, type Draft, type Field } from "../../form/Form";
import { useAct } from "../../frame/act";
import { Facts, Pill, Screen, Side, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { Once } from "../../frame/Once";
import { useLanguage, useT } from "../../i18n";
import { DataTable, type Column } from "../../table/DataTable";
import { useUrlValue } from "../../url/state";
import { paged } from "../paged";
import { Grants } from "./Grants";

type Operator = Schemas["Operator"];
type Grant = Schemas["Grant"];

/** A grant in one line: roles and scopes, and where. */
export function grantWords(g: Grant): string {
  const what = [...(g.roles ?? []), ...(g.scopes ?? [])].join(", ");
  const where = [...(g.groups ?? []).map((x) => `group:${x}`), ...(g.sites ?? []).map((x) => `site:${x}`)].join(", ");
  return where ? `${what} @ ${where}` : what;
}

export default function Operators() {
  const t = useT();
  const [, setOpen] = useUrlValue("open");
  const list = useList(["operators"], (cursor) => must(api.GET("/api/v1/operators", { params: { query: paged({}, cursor) } })));
  const columns = useMemo<Column<Operator>[]>(
    () => [
      { id: "name", head: t.fields.name, cell: (o) => o.name, by: (o) => o.name, width: 130 },
      { id: "display", head: t.operators.display, cell: (o) => o.display, by: (o) => o.display, width: 150 },
      { id: "grants", head: t.fields.roles, cell: (o) => o.grants.map(grantWords).join("; "), width: 220 },
      { id: "totp", head: t.fields.secondFactor, cell: (o) => (o.second_factor ? t.frame.yes : t.frame.no), by: (o) => Number(o.second_factor), width: 120 },
      { id: "state", head: t.fields.state, cell: (o) => (o.disabled ? <Pill value="closed" text={t.operators.disabled} /> : <Pill value="active" />), width: 110 },
      { id: "last", head: t.fields.lastSignIn, cell: (o) => <When at={o.last_sign_in} />, by: (o) => o.last_sign_in ?? "", width: 190 },
    ],
    [t],
  );
  return (
    <Screen title={t.nav.operators}>
      <DataTable
        name="operators"
        label={t.nav.operators}
        list={list}
        columns={columns}
        rowId={(o) => o.name}
        open={(o) => setOpen(o.name)}
        empty={t.operators.empty}
        actions={
          <Button size="xs" onClick={() => setOpen("+")}>
            {t.frame.add}
          </Button>
        }
      />
      <Roles />
      <Side title={t.nav.operators}>{(name) => (name === "+" ? <Make /> : <One key={name} name={name} />)}</Side>
    </Screen>
  );
}

function useRoles() {
  return useQuery({ queryKey: ["roles"], queryFn: () => must(api.GET("/api/v1/roles")), staleTime: Infinity });
}

function Roles() {
  const { messages: t, language } = useLanguage();
  const roles = useRoles();
  return (
    <details>
      <summary>{t.operators.rolesTitle}</summary>
      <Facts facts={(roles.data ?? []).map((r) => [r.name, `${r[language]} (${r.scopes.join(", ")})`])} />
    </details>
  );
}

function useFields(): Field[] {
  const t = useT();
  const roles = useRoles().data ?? [];
  return [
    { name: "display", label: t.operators.display, required: true },
    {
      name: "grants",
      label: t.operators.grants,
      kind: "own",
      edit: (value, set, error) => <Grants grants={value as Grant[]} set={set} error={error} roles={roles} />,
      say: (value) => (value as Grant[]).map(grantWords).join("; "),
    },
  ];
}

function Make() {
  const t = useT();
  const [, setOpen] = useUrlValue("open");
  const [made, setMade] = useState<Schemas["MadeOperator"]>();
  const fields = useFields();
  const act = useAct({
    run: (d: Draft) =>
      must(
        api.POST("/api/v1/operators", {
          params: { header: once() },
          body: { name: String(d["name"] ?? ""), display: String(d["display"] ?? ""), grants: d["grants"] as Grant[] },
        }),
      ),
    touches: ["operators"],
    after: setMade,
    fields: ["name", "display", "grants"],
  });
  if (made) return <Once text={made.password} />;
  return (
    <Form
      fields={[{ name: "name", label: t.fields.name, required: true, help: t.lists.idHelp }, ...fields]}
      first={{ name: "", display: "", grants: [{ roles: [] }] }}
      existing={false}
      act={act}
      action={t.frame.add}
      onCancel={() => setOpen("")}
    />
  );
}

function One({ name }: { name: string }) {
  const t = useT();
  const fields = useFields();
  const [, setOpen] = useUrlValue("open");
  const [made, setMade] = useState<Schemas["MadeOperator"]>();
  const q = useQuery({
    queryKey: ["operators", "one", name],
    queryFn: () => must(api.GET("/api/v1/operators/{name}", { params: { path: { name } } })),
    refetchOnWindowFocus: false,
  });
  const [seen, setSeen] = useState<Operator>();
  const [theirs, setTheirs] = useState<Draft>();
  // The version that is being changed: the one that was read, or the one that a conflict showed.
  const base = seen ?? q.data;
  const patch = async (body: Schemas["OperatorChange"]) => {
    const version = base?.version ?? 0;
    const path = { name };
    try {
      return await must(api.PATCH("/api/v1/operators/{name}", { params: { path, header: ifMatch(version) }, body }));
    } catch (e) {
      const now = await must(api.GET("/api/v1/operators/{name}", { params: { path } }));
      if (now.version !== version) {
        setSeen(now);
        setTheirs({ display: now.display, grants: now.grants });
      }
      throw e;
    }
  };
  const after = (o: Schemas["MadeOperator"]) => (o.password ? setMade(o) : setOpen(""));
  const common = { done: t.form.saved, touches: ["operators"], after };
  const change = useAct({
    ...common,
    run: (d: Draft) => patch({ display: String(d["display"] ?? ""), grants: d["grants"] as Grant[] }),
    fields: ["display", "grants"],
    conflict: true,
  });
  const account = useAct({ ...common, run: patch });
  if (q.error) return <Fault error={q.error} />;
  if (made) return <Once text={made.password} />;
  const o = q.data;
  if (!o) return null;
  return (
    <Stack gap="md">
      <Form
        fields={fields}
        first={{ display: o.display, grants: o.grants }}
        existing
        act={change}
        action={t.frame.save}
        theirs={theirs}
        overwrite={change.go}
      />
      <Title order={3} size="h5">
        {t.operators.more}
      </Title>
      <Group gap="xs">
        <Button size="xs" variant="default" onClick={() => account.go({ disabled: !o.disabled })} loading={account.busy}>
          {o.disabled ? t.operators.enable : t.operators.disable}
        </Button>
        <Button size="xs" variant="default" onClick={() => account.go({ new_password: true })} loading={account.busy}>
          {t.operators.newPassword}
        </Button>
        {o.second_factor && (
          <Button size="xs" variant="default" onClick={() => account.go({ second_factor: false })} loading={account.busy}>
            {t.operators.dropFactor}
          </Button>
        )}
      </Group>
    </Stack>
  );
}
