// What the counts of the overview say, for more than one place.

import type { Schemas } from "./client";

/** Open alerts of every severity. */
export function openAlerts(c: Schemas["Overview"] | undefined): number {
  return c?.alerts.filter((a) => a.state === "open").reduce((n, a) => n + a.count, 0) ?? 0;
}
