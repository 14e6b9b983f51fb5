// Which columns of a table a person hid or showed, kept in this browser.

import { useCallback, useState } from "react";

/** The hidden columns of the table `name`; `first` are those that are hidden until somebody chose otherwise. */
export function useHidden(name: string, first: string[]): [Set<string>, (id: string) => void] {
  const key = `sekisho-columns-${name}`;
  const [hidden, setHidden] = useState(() => read(key) ?? new Set(first));
  const toggle = useCallback(
    (id: string) =>
      setHidden((old) => {
        const next = new Set(old);
        if (!next.delete(id)) next.add(id);
        localStorage.setItem(key, JSON.stringify([...next]));
        return next;
      }),
    [key],
  );
  return [hidden, toggle];
}

function read(key: string): Set<string> | undefined {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(key) ?? "null");
    return Array.isArray(kept) ? new Set(kept.map(String)) : undefined;
  } catch {
    return undefined;
  }
}
