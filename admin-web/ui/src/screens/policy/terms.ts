// What a rule and an app ask for beside letting a flow through, in short words.

import { bitRate } from "../../i18n/units";

type Bps = number | null | undefined;

/** Up and down. */
export function rates(up: Bps, down: Bps): string {
  const one = (arrow: string, bps: Bps) => (bps == null ? [] : [`${arrow} ${bitRate(bps)}`]);
  return [...one("↑", up), ...one("↓", down)].join(" ");
}

/** How an app's packets are marked. */
export function mark(a: { dscp?: number | null; qfi?: number | null }): string {
  return [a.dscp == null ? "" : `DSCP ${a.dscp}`, a.qfi == null ? "" : `QFI ${a.qfi}`].filter(Boolean).join(", ");
}
