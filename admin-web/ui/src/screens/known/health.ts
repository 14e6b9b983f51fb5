// What there is to say of a device's health, item by item: what was told, what is asked, and what is missing or too old.
// Whether it all comes to compliant is the server's to say.

import type { Schemas } from "../../api/client";

type Asked = Schemas["PostureRequirement"];
type Told = Schemas["PostureFact"];

export const CHECKS = ["os-version", "disk-encryption", "firewall", "antivirus", "screen-lock", "jailbreak", "managed"] as const;
export type Check = (typeof CHECKS)[number];

/** For so long what was told counts where no group says otherwise, seconds. */
const A_DAY = 86_400;

export interface Item {
  check: Check;
  /** Whether the groups ask for it. */
  asked: "must" | "should" | undefined;
  state: "good" | "bad" | "told" | "stale" | "missing";
  told: Told | undefined;
  /** The lowest versions that are asked for, of the operating system. */
  least: string | undefined;
}

/**
 * The items in a fixed order: those that were told or that somebody asks for. Of several groups the stricter counts; where
 * none asks anything, it is the word of the managing system.
 */
export function items(told: readonly Told[], asked: readonly Asked[]): Item[] {
  const all: Asked[] = asked.length > 0 ? [...asked] : [{ must: ["managed"] }];
  const oldest = Math.min(...all.map((a) => a.max_age_s ?? A_DAY));
  // Where a group lets the last word count on in silence, an old word is no lack.
  const lasting = all.every((a) => a.when_silent === "static");
  const must = new Set(all.flatMap((a) => a.must ?? []));
  const should = new Set(all.flatMap((a) => a.should ?? []));
  return CHECKS.flatMap((check): Item[] => {
    const fact = told.find((f) => f.check === check);
    const wanted = must.has(check) ? "must" : should.has(check) ? "should" : undefined;
    if (!fact && !wanted) return [];
    const least = check === "os-version" ? versions(all, fact) : undefined;
    return [{ check, asked: wanted, state: stateOf(fact, lasting ? Infinity : oldest), told: fact, least }];
  });
}

function stateOf(fact: Told | undefined, oldest: number): Item["state"] {
  if (!fact) return "missing";
  if (fact.age_s > oldest) return "stale";
  if (fact.good === true) return "good";
  return fact.good === false ? "bad" : "told";
}

/** Of the device's own system where it is known, else of all that are named. */
function versions(asked: Asked[], fact: Told | undefined): string | undefined {
  const own = fact?.os?.split(" ")[0]?.toLowerCase();
  const all = asked.flatMap((a) => Object.entries(a.os ?? {}));
  const named = all.filter(([name]) => own === undefined || name === own).map(([name, v]) => `${name} ${v}`);
  return [...new Set(named)].join(", ") || undefined;
}
