// What a screen shows stands in its address: filters, sort and the open row. A link to it shows the same.

import { useCallback, useMemo } from "react";
import { useSearchParams } from "wouter";

export type Values = Record<string, string>;

/** The values of some names; an absent one is the empty text. */
export function readValues(search: URLSearchParams, names: readonly string[]): Values {
  return Object.fromEntries(names.map((n) => [n, search.get(n) ?? ""]));
}

/** The address with other values; empty ones leave it. Whatever else stands in it stays. */
export function withValues(search: URLSearchParams, values: Values): URLSearchParams {
  const out = new URLSearchParams(search);
  for (const [name, value] of Object.entries(values)) {
    if (value === "") out.delete(name);
    else out.set(name, value);
  }
  return out;
}

/** Reads and writes some names of the address. Writing replaces the entry: *back* leaves the screen. */
export function useUrlValues(names: readonly string[]): [Values, (v: Values) => void] {
  const [search, setSearch] = useSearchParams();
  const key = names.join("\n");
  const values = useMemo(() => readValues(search, key.split("\n").filter(Boolean)), [search, key]);
  const write = useCallback(
    (v: Values) => setSearch((old) => withValues(old, v), { replace: true }),
    [setSearch],
  );
  return [values, write];
}

/** One name of the address. */
export function useUrlValue(name: string): [string, (v: string) => void] {
  const [values, write] = useUrlValues([name]);
  const set = useCallback((v: string) => write({ [name]: v }), [name, write]);
  return [values[name] ?? "", set];
}

export interface Sort {
  column: string;
  down: boolean;
}

/** `-changed` is the newest first, `label` from A to Z. */
export function readSort(text: string): Sort | undefined {
  if (text === "" || text === "-") return undefined;
  return text.startsWith("-") ? { column: text.slice(1), down: true } : { column: text, down: false };
}

export function writeSort(sort: Sort | undefined): string {
  return sort ? `${sort.down ? "-" : ""}${sort.column}` : "";
}

/** An address of this console with its parameters; empty ones are left out. */
export function to(path: string, values: Record<string, string | undefined | null> = {}): string {
  const search = new URLSearchParams();
  for (const [k, v] of Object.entries(values)) if (v) search.set(k, v);
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}
