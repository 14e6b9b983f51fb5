// What stands above a table: filters (kept in the address), columns, the age of what is shown, and the screen's buttons.

import { Button, Checkbox, Group, NativeSelect, Popover, Stack, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useEffect, useState, type ReactNode } from "react";
import type { ListOf } from "../api/list";
import { fromLocal, toLocal } from "../form/time";
import { Age } from "../frame/Age";
import { useT } from "../i18n";
import { useUrlValues } from "../url/state";

export interface Filter {
  name: string;
  label: string;
  /** Values to choose from; without them it is free text. */
  choices?: { value: string; label: string }[];
  /** What it says where none of them is chosen; `All` if not given. */
  none?: string;
  width?: number;
  /** What it may look like. */
  hint?: string;
  /** A moment, chosen in the browser's own clock. */
  time?: boolean;
}

interface Props {
  filters: Filter[];
  columns: { id: string; head: string }[];
  hidden: Set<string>;
  toggleHidden: (id: string) => void;
  list: ListOf<unknown>;
  actions?: ReactNode;
}

export function Toolbar({ filters, columns, hidden, toggleHidden, list, actions }: Props) {
  const t = useT();
  const [values, write] = useUrlValues(filters.map((f) => f.name));
  return (
    <Group gap="xs" align="flex-end" className="toolbar">
      {filters.map((f) =>
        f.choices ? (
          <NativeSelect
            key={f.name}
            size="xs"
            label={f.label}
            w={f.width ?? 140}
            data={[{ value: "", label: f.none ?? t.table.all }, ...f.choices]}
            value={values[f.name] ?? ""}
            onChange={(e) => write({ [f.name]: e.currentTarget.value })}
          />
        ) : f.time ? (
          <TextInput
            key={f.name}
            size="xs"
            type="datetime-local"
            step={1}
            label={f.label}
            w={f.width ?? 190}
            value={toLocal(values[f.name] ?? "")}
            onChange={(e) => write({ [f.name]: fromLocal(e.currentTarget.value) ?? "" })}
          />
        ) : (
          <TextFilter key={f.name} filter={f} value={values[f.name] ?? ""} write={(v) => write({ [f.name]: v })} />
        ),
      )}
      {Object.values(values).some(Boolean) && (
        <Button size="xs" variant="subtle" onClick={() => write(Object.fromEntries(filters.map((f) => [f.name, ""])))}>
          {t.table.clear}
        </Button>
      )}
      <Group gap="xs" ml="auto" align="center">
        <Age at={list.at} again={list.again} busy={list.reading} />
        <Popover position="bottom-end" trapFocus withRoles>
          <Popover.Target>
            <Button size="xs" variant="default">
              {t.table.columns}
            </Button>
          </Popover.Target>
          <Popover.Dropdown aria-label={t.table.columns}>
            <Stack gap={6}>
              {columns.map((c) => (
                <Checkbox
                  key={c.id}
                  size="xs"
                  label={c.head}
                  checked={!hidden.has(c.id)}
                  onChange={() => toggleHidden(c.id)}
                />
              ))}
            </Stack>
          </Popover.Dropdown>
        </Popover>
        {actions}
      </Group>
    </Group>
  );
}

/** A text that reaches the address when the writing pauses, so that the server is not asked for every letter. */
function TextFilter({ filter, value, write }: { filter: Filter; value: string; write: (v: string) => void }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const later = useDebouncedCallback(write, 300);
  return (
    <TextInput
      size="xs"
      label={filter.label}
      w={filter.width ?? 180}
      placeholder={filter.hint ?? ""}
      value={text}
      onChange={(e) => {
        setText(e.currentTarget.value);
        later(e.currentTarget.value);
      }}
    />
  );
}
