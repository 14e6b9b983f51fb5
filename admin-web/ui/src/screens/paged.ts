// The query of a list: what was filtered by, and where the page before ended.

import type { Values } from "../url/state";

const LIMIT = 200;

export function paged(filter: Values, cursor: string | undefined): Record<string, string | number> & { limit: number } {
  const given = Object.entries(filter).filter(([, v]) => v !== "");
  return { ...Object.fromEntries(given), limit: LIMIT, ...(cursor ? { cursor } : {}) };
}
