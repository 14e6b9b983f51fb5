// What a risk profile comes to: every situation that its factors can make, with its sum and its level. The decision itself
// is the gateway's; this is the picture of what is written.

import type { Schemas } from "../../api/client";

/** What can be changed of a profile. */
export type Profile = Pick<Schemas["KeptRiskProfile"], "weights" | "levels" | "night_hours" | "outcomes"> & { zone: string | null };

export const FACTORS = ["not_compliant", "not_assured", "unusual_place", "night"] as const;
export const LEVELS = ["low", "medium", "high", "critical"] as const;
export const SENSITIVITIES = ["public", "internal", "confidential"] as const;
/** From the most open to the most closed. */
export const OUTCOMES = ["allow", "allow-logged", "step-up", "deny"] as const;

export type Factor = (typeof FACTORS)[number];
export type Level = (typeof LEVELS)[number];

export interface Situation {
  there: Factor[];
  score: number;
  level: Level;
}

/** The part of a kept profile that can be changed and sent back. */
export function profileOf(kept: Schemas["KeptRiskProfile"]): Profile {
  const { weights, levels, night_hours, outcomes } = kept;
  return { weights, levels, night_hours, zone: kept.zone ?? null, outcomes };
}

export function levelOf(p: Profile, score: number): Level {
  if (score >= p.levels.critical) return "critical";
  if (score >= p.levels.high) return "high";
  return score >= p.levels.medium ? "medium" : "low";
}

/** All sixteen, the quietest first. */
export function situations(p: Profile): Situation[] {
  const all = Array.from({ length: 1 << FACTORS.length }, (_, n) => {
    const there = FACTORS.filter((_, bit) => (n >> bit) % 2 === 1);
    const score = there.reduce((sum, factor) => sum + p.weights[factor], 0);
    return { there, score, level: levelOf(p, score) };
  });
  return all.sort((a, b) => a.score - b.score || a.there.length - b.there.length);
}

/** True where two profiles say the same. */
export function isSame(a: Profile, b: Profile): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
