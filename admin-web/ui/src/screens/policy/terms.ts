// What a rule and an app ask for beside letting a flow through, in short words.

import type { Schemas } from "../../api/client";
import type { Messages } from "../../i18n";
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

type Asked = keyof Messages["conditions"]["fields"];

/** What a rule asks of a SIM, in a line. */
export function conditions(r: Pick<Schemas["Rule"], Asked>, t: Messages["conditions"]): string {
  const words: Record<string, string> = t.values;
  return (Object.keys(t.fields) as Asked[])
    .flatMap((name) => {
      const v = r[name];
      if (v == null || (Array.isArray(v) && v.length === 0)) return [];
      const said = Array.isArray(v) ? v.join(", ") : (words[String(v)] ?? String(v));
      return [`${t.fields[name]}: ${said}`];
    })
    .join("; ");
}
