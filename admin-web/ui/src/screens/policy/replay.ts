// Stretches of a replay added up: the counts, and the flows by SIM, person and app.

import type { Schemas } from "../../api/client";

export type Stretch = Schemas["Replayed"];
type Kind = Schemas["ReplayedKind"];
export type By = "imsi" | "person" | "app";

export interface Total {
  records: number;
  denied: number;
  allowed: number;
  unsure: number;
  notByRules: number;
  untold: number;
  /** By what makes two kinds one. */
  kinds: Map<string, Kind>;
  /** Of the log, 0 to 1. */
  done: number;
}

export function nothing(): Total {
  return { records: 0, denied: 0, allowed: 0, unsure: 0, notByRules: 0, untold: 0, kinds: new Map(), done: 0 };
}

export function added(t: Total, s: Stretch): Total {
  const kinds = new Map(t.kinds);
  for (const k of s.kinds) {
    const key = JSON.stringify([k.allowed, k.imsi, k.app, k.direction, k.protocol, k.port]);
    const was = kinds.get(key);
    kinds.set(key, was ? { ...was, flows: was.flows + k.flows } : k);
  }
  return {
    records: t.records + s.records,
    denied: t.denied + s.newly_denied,
    allowed: t.allowed + s.newly_allowed,
    unsure: t.unsure + s.unsure,
    notByRules: t.notByRules + s.not_by_rules,
    untold: t.untold + s.untold,
    kinds,
    done: s.next == null ? 1 : s.total > 0 ? Math.min(1, s.done / s.total) : 0,
  };
}

export interface Bar {
  name: string | undefined;
  denied: number;
  allowed: number;
}

/** Flows by something, the most first. */
export function by(t: Total, what: By): Bar[] {
  const bars = new Map<string | undefined, Bar>();
  for (const k of t.kinds.values()) {
    const name = k[what] ?? undefined;
    const bar = bars.get(name) ?? { name, denied: 0, allowed: 0 };
    bars.set(name, k.allowed ? { ...bar, allowed: bar.allowed + k.flows } : { ...bar, denied: bar.denied + k.flows });
  }
  return [...bars.values()].sort((a, b) => b.denied + b.allowed - a.denied - a.allowed);
}

/** The kinds with the most flows. */
export function most(t: Total, count: number): Kind[] {
  return [...t.kinds.values()].sort((a, b) => b.flows - a.flows).slice(0, count);
}
