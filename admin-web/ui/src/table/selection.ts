// Rows that were chosen: by their names, so that a choice outlives the page and the filter that it was made on.

import { useMemo, useState } from "react";

export interface Selection {
  size: number;
  ids: string[];
  has: (id: string) => boolean;
  add: (id: string) => void;
  toggle: (id: string) => void;
  clear: () => void;
}

export function useSelection(): Selection {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  return useMemo(
    () => ({
      size: chosen.size,
      ids: [...chosen],
      has: (id) => chosen.has(id),
      add: (id) => setChosen((old) => new Set(old).add(id)),
      toggle: (id) =>
        setChosen((old) => {
          const next = new Set(old);
          if (!next.delete(id)) next.add(id);
          return next;
        }),
      clear: () => setChosen(new Set()),
    }),
    [chosen],
  );
}
