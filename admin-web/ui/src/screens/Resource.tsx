// A list of things that people keep: seen in a table, made, changed and removed in a form at the side. Each kind says
// only what it is made of; see directory/ and policy/.

import { Button, Group, Stack } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { useList, type Page } from "../api/list";
import { Form, type Draft, type Field } from "../form/Form";
import { useAct } from "../frame/act";
import { Screen, Side } from "../frame/bits";
import { Fault } from "../frame/Fault";
import { useMay, type Scope } from "../frame/me";
import { Once } from "../frame/Once";
import { ReasonDialog } from "../frame/ReasonDialog";
import { useT } from "../i18n";
import { DataTable, type Column } from "../table/DataTable";
import type { Filter } from "../table/Toolbar";
import { useUrlValue, useUrlValues, type Values } from "../url/state";

export interface Kept {
  version: number;
  created: string;
  changed: string;
}

export interface ResourceOf<T extends Kept> {
  /** Name of its queries, its columns and its title. */
  name: string;
  title: string;
  needs: Scope;
  id: (row: T) => string;
  columns: Column<T>[];
  fields: Field[];
  /** A new one, before anybody wrote into it. */
  fresh: Draft;
  filters?: Filter[];
  /** The order where nobody chose one; without it that of the API. */
  order?: string;
  empty: string;
  /** What stands above the list: what belongs to it and nobody made. */
  note?: ReactNode;
  list: (filter: Values, cursor: string | undefined) => Promise<Page<T>>;
  get: (id: string) => Promise<T>;
  create: (d: Draft) => Promise<T>;
  /** What a new one is told once and never again, such as its secret. */
  secret?: (made: T) => string | null | undefined;
  replace: (id: string, version: number, d: Draft) => Promise<T>;
  remove: (id: string, version: number) => Promise<unknown>;
  /** More about one, below its form. */
  more?: (row: T) => ReactNode;
  /** The same, above it: what one looks at more often than one changes it. */
  above?: (row: T) => ReactNode;
}

/** Name in the address for a thing that is not there yet: no thing can have it. */
const NEW = "+";

export function Resource<T extends Kept>({ of }: { of: ResourceOf<T> }) {
  const t = useT();
  const may = useMay()(of.needs);
  const [filter] = useUrlValues((of.filters ?? []).map((f) => f.name));
  const [, setOpen] = useUrlValue("open");
  const list = useList([of.name, filter], (cursor) => of.list(filter, cursor));
  return (
    <Screen title={of.title}>
      {of.note}
      <DataTable
        name={of.name}
        label={of.title}
        list={list}
        columns={of.columns}
        rowId={of.id}
        open={(row) => setOpen(of.id(row))}
        filters={of.filters ?? []}
        order={of.order}
        empty={of.empty}
        actions={
          may && (
            <Button size="xs" onClick={() => setOpen(NEW)}>
              {t.frame.add}
            </Button>
          )
        }
      />
      <Side title={of.title}>{(id) => (id === NEW ? <Make of={of} /> : <One key={id} of={of} id={id} may={may} />)}</Side>
    </Screen>
  );
}

function Make<T extends Kept>({ of }: { of: ResourceOf<T> }) {
  const t = useT();
  const [, setOpen] = useUrlValue("open");
  const [secret, setSecret] = useState<string>();
  const act = useAct({
    run: of.create,
    done: t.form.saved,
    touches: [of.name],
    after: (made) => {
      const told = of.secret?.(made);
      if (told) setSecret(told);
      else setOpen("");
    },
    fields: of.fields.map((f) => f.name),
  });
  // A screen that leads here may have said what the new one begins with: "make a rule from this".
  const [given] = useUrlValues(of.fields.map((f) => f.name));
  const first = { ...of.fresh };
  for (const f of of.fields) {
    const v = given[f.name];
    if (v) first[f.name] = f.kind === "words" ? v.split(",") : f.kind === "number" ? Number(v) : v;
  }
  if (secret) return <Once text={secret} />;
  return <Form fields={of.fields} first={first} existing={false} act={act} action={t.frame.add} onCancel={() => setOpen("")} />;
}

function One<T extends Kept>({ of, id, may }: { of: ResourceOf<T>; id: string; may: boolean }) {
  const q = useQuery({ queryKey: [of.name, "one", id], queryFn: () => of.get(id), refetchOnWindowFocus: false });
  // The form keeps what it began with; a newer version shows as a conflict when it is saved.
  return (
    <>
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      {q.data && <Edit of={of} id={id} row={q.data} may={may} />}
    </>
  );
}

function Edit<T extends Kept>({ of, id, row, may }: { of: ResourceOf<T>; id: string; row: T; may: boolean }) {
  const t = useT();
  const queries = useQueryClient();
  const [, setOpen] = useUrlValue("open");
  const [removing, setRemoving] = useState(false);
  const [read, setRead] = useState(row);
  const [theirs, setTheirs] = useState<Draft>();
  const names = of.fields.map((f) => f.name);
  const save = useAct({
    run: async (d: Draft) => {
      try {
        return await of.replace(id, read.version, { ...unshown(read, names), ...pick(d, names) });
      } catch (e) {
        const now = await of.get(id);
        if (now.version !== read.version) {
          setRead(now);
          setTheirs(now as unknown as Draft);
        }
        throw e;
      }
    },
    done: t.form.saved,
    touches: [of.name],
    after: () => setOpen(""),
    fields: names,
    conflict: true,
  });
  const remove = useAct({
    run: () => of.remove(id, read.version),
    done: t.form.removed,
    after: () => {
      setOpen("");
      void queries.invalidateQueries({ queryKey: [of.name], refetchType: "active", predicate: (q) => q.queryKey[1] !== "one" });
    },
  });
  return (
    <Stack gap="lg">
      {of.above?.(row)}
      {may ? (
        <Form
          fields={of.fields}
          first={pick(row as unknown as Draft, names)}
          existing
          act={save}
          action={t.frame.save}
          theirs={theirs}
          overwrite={save.go}
        />
      ) : (
        <fieldset disabled className="plain">
          <Form fields={of.fields} first={row as unknown as Draft} existing act={save} action={t.frame.save} />
        </fieldset>
      )}
      {may && (
        <Group>
          <Button size="xs" variant="default" className="danger" onClick={() => setRemoving(true)}>
            {t.frame.remove}
          </Button>
        </Group>
      )}
      {of.more?.(row)}
      {removing && (
        <ReasonDialog
          plain
          title={t.form.removeSure(id)}
          action={t.frame.remove}
          act={remove}
          close={() => setRemoving(false)}
        />
      )}
    </Stack>
  );
}

/** What the form does not show goes back as it was read: a label is changed here, and nothing is lost by it. */
function unshown(row: object, names: string[]): Draft {
  const ours = new Set([...names, "version", "created", "changed"]);
  return Object.fromEntries(Object.entries(row).filter(([n]) => !ours.has(n)));
}

/** The body's own fields, without what the server adds. */
function pick(d: Draft, names: string[]): Draft {
  return Object.fromEntries(names.map((n) => [n, d[n]]).filter(([, v]) => v !== undefined));
}
