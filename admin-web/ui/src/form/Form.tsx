// The one form: fields from a list, faults of the API at their fields, and both versions shown where somebody else
// was quicker.

import { Alert, Button, Group, NativeSelect, NumberInput, PasswordInput, Stack, Table, TagsInput, Textarea, TextInput } from "@mantine/core";
import { useState, type FormEvent, type ReactNode } from "react";
import type { Act } from "../frame/act";
import { useT } from "../i18n";
import { fromLocal, toLocal } from "./time";

export interface Field {
  name: string;
  label: string;
  help?: string;
  kind?: "text" | "secret" | "long" | "number" | "words" | "choice" | "flag" | "time" | "own";
  /** How a field of kind `own` is edited. */
  edit?: (value: unknown, set: (v: unknown) => void, error: string | undefined, disabled: boolean) => ReactNode;
  /** How a value is said where two versions are compared. */
  say?: (value: unknown) => string;
  choices?: { value: string; label: string }[];
  required?: boolean;
  /** Cannot be changed once the thing is there. */
  fixed?: boolean;
  /** Shown only where the other fields say that it means something. */
  when?: (draft: Draft) => boolean;
}

/** Values by name, as the API has them. */
export type Draft = Record<string, unknown>;

interface Props {
  fields: Field[];
  first: Draft;
  /** True for a thing that is there. */
  existing: boolean;
  act: Act<Draft>;
  action: string;
  /** What is there now, where it is no longer what was looked at. */
  theirs?: Draft | undefined;
  /** Saves over it. */
  overwrite?: (d: Draft) => void;
  onCancel?: () => void;
}

export function Form({ fields, first, existing, act, action, theirs, overwrite, onCancel }: Props) {
  const t = useT();
  const [draft, setDraft] = useState<Draft>(first);
  const set = (name: string, value: unknown) => setDraft((d) => ({ ...d, [name]: value }));
  const send = (e: FormEvent) => {
    e.preventDefault();
    act.go(draft);
  };
  return (
    <form onSubmit={send} noValidate>
      <Stack gap="sm">
        {fields.filter((f) => f.when?.(draft) ?? true).map((f) => (
          <Input
            key={f.name}
            field={f}
            value={draft[f.name]}
            set={(v) => set(f.name, v)}
            error={act.fault(f.name)}
            disabled={existing && f.fixed === true}
          />
        ))}
        {theirs && (
          <Conflict fields={fields} mine={draft} theirs={theirs} take={() => setDraft(theirs)} keep={() => overwrite?.(draft)} />
        )}
        <Group justify="flex-end">
          {onCancel && (
            <Button variant="default" onClick={onCancel}>
              {t.frame.cancel}
            </Button>
          )}
          <Button type="submit" loading={act.busy}>
            {action}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

interface InputProps {
  field: Field;
  value: unknown;
  set: (v: unknown) => void;
  error: string | undefined;
  disabled: boolean;
}

function Input({ field, value, set, error, disabled }: InputProps) {
  const common = { label: field.label, description: field.help, error, disabled, required: field.required ?? false };
  switch (field.kind) {
    case "secret":
      return <PasswordInput {...common} autoComplete="off" value={text(value)} onChange={(e) => set(e.currentTarget.value || null)} />;
    case "long":
      return <Textarea {...common} autosize minRows={2} value={text(value)} onChange={(e) => set(e.currentTarget.value || null)} />;
    case "number":
      return (
        <NumberInput
          {...common}
          value={typeof value === "number" ? value : ""}
          onChange={(v) => set(v === "" ? null : Number(v))}
          hideControls
          thousandSeparator=","
        />
      );
    case "words": {
      const words = Array.isArray(value) ? value.map(String) : [];
      const data = field.choices?.map((c) => c.value) ?? [];
      return <TagsInput {...common} value={words} data={data} splitChars={[",", ";", " ", "、"]} onChange={set} acceptValueOnBlur />;
    }
    case "choice":
      return (
        <NativeSelect {...common} data={field.choices ?? []} value={text(value)} onChange={(e) => set(e.currentTarget.value || null)} />
      );
    case "flag":
      // Yes, no, or neither: the choices are called so.
      return (
        <NativeSelect
          {...common}
          data={field.choices ?? []}
          value={typeof value === "boolean" ? String(value) : ""}
          onChange={(e) => set(e.currentTarget.value === "" ? null : e.currentTarget.value === "true")}
        />
      );
    case "own":
      return <>{field.edit?.(value, set, error, disabled)}</>;
    case "time":
      return (
        <TextInput
          {...common}
          type="datetime-local"
          value={toLocal(text(value))}
          onChange={(e) => set(fromLocal(e.currentTarget.value))}
        />
      );
    default:
      return (
        <TextInput {...common} value={text(value)} onChange={(e) => set(e.currentTarget.value || (field.required ? "" : null))} />
      );
  }
}

/** What the two versions differ in. */
function Conflict(props: { fields: Field[]; mine: Draft; theirs: Draft; take: () => void; keep: () => void }) {
  const { fields, mine, theirs, take, keep } = props;
  const t = useT();
  const said = (f: Field, v: unknown) => f.say?.(v) ?? text(v);
  const differ = fields.filter((f) => said(f, mine[f.name]) !== said(f, theirs[f.name]));
  return (
    <Alert color="orange" variant="outline" title={t.form.stale} role="alert">
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t.form.field}</Table.Th>
            <Table.Th>{t.form.mine}</Table.Th>
            <Table.Th>{t.form.theirs}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {differ.map((f) => (
            <Table.Tr key={f.name}>
              <Table.Td>{f.label}</Table.Td>
              <Table.Td>{said(f, mine[f.name])}</Table.Td>
              <Table.Td>{said(f, theirs[f.name])}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Group gap="xs" mt="xs">
        <Button size="xs" variant="default" onClick={take}>
          {t.form.takeTheirs}
        </Button>
        <Button size="xs" variant="default" className="danger" onClick={keep}>
          {t.form.keepMine}
        </Button>
      </Group>
    </Alert>
  );
}

function text(v: unknown): string {
  if (v === undefined || v === null) return "";
  return Array.isArray(v) ? v.join(", ") : String(v);
}
