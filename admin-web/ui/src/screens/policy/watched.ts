// What a watched rule would have said, by the hour: the week up to the last hour in which there was something, quiet hours too.

import type { Schemas } from "../../api/client";

const HOUR = 3_600_000;
const WEEK = 7 * 24;

export interface Hour {
  at: number;
  denied: number;
  allowed: number;
}

export function hoursOf(all: Schemas["MonitoredHour"][]): Hour[] {
  const by = new Map(all.map((h) => [Date.parse(h.at), h]));
  const last = Math.max(...by.keys());
  return Array.from({ length: WEEK }, (_, n) => {
    const at = last - (WEEK - 1 - n) * HOUR;
    const h = by.get(at);
    return { at, denied: h?.would_deny ?? 0, allowed: h?.would_allow ?? 0 };
  });
}
