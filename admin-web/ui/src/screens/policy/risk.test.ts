import { expect, test } from "vitest";
import { isSame, levelOf, profileOf, situations, type Profile } from "./risk";

const row = (...of: ("allow" | "allow-logged" | "step-up" | "deny")[]) => ({ public: of[0]!, internal: of[1]!, confidential: of[2]! });

const SHIPPED: Profile = {
  weights: { not_compliant: 30, not_assured: 25, unusual_place: 20, night: 15 },
  levels: { medium: 20, high: 40, critical: 60 },
  night_hours: "22:00-06:00",
  zone: null,
  outcomes: {
    low: row("allow", "allow", "allow-logged"),
    medium: row("allow", "allow-logged", "step-up"),
    high: row("allow-logged", "step-up", "deny"),
    critical: row("step-up", "deny", "deny"),
  },
};

test("the shipped profile has sixteen situations, and each stands where the sample says", () => {
  const all = situations(SHIPPED);
  expect(all).toHaveLength(16);
  expect(new Set(all.map((s) => s.there.join())).size).toBe(16);
  expect(all.map((s) => s.score)).toEqual([0, 15, 20, 25, 30, 35, 40, 45, 45, 50, 55, 60, 65, 70, 75, 90]);
  const of = (level: string) => all.filter((s) => s.level === level).map((s) => s.score);
  expect([of("low"), of("medium"), of("high"), of("critical")]).toEqual([[0, 15], [20, 25, 30, 35], [40, 45, 45, 50, 55], [60, 65, 70, 75, 90]]);
  expect(all.find((s) => s.score === 35)?.there).toEqual(["unusual_place", "night"]);
});

test("a level begins where it is said to", () => {
  const at = (n: number) => levelOf({ ...SHIPPED, levels: { medium: 1, high: 1, critical: 100 } }, n);
  expect([at(0), at(1), at(99), at(100)]).toEqual(["low", "high", "high", "critical"]);
});

test("what only an answer says is not sent back", () => {
  const back = profileOf({ ...SHIPPED, shipped: true, version: 3 });
  expect(back).toEqual(SHIPPED);
  expect(isSame(back, SHIPPED)).toBe(true);
  expect(isSame(back, { ...SHIPPED, zone: "Asia/Tokyo" })).toBe(false);
});
