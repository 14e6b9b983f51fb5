import { expect, test } from "vitest";
import { items } from "./health";

const told = (check: string, good: boolean | null, age_s = 60, os: string | null = null) => ({ check, good, os, source: "mdm", at: "2027-01-31T09:00:00Z", age_s });
const states = (all: ReturnType<typeof items>) => Object.fromEntries(all.map((i) => [i.check, [i.state, i.asked]]));

test("what is asked and was not told is missing, what was told is shown whether asked or not", () => {
  const asked = { must: ["disk-encryption", "firewall"], should: ["screen-lock"] };
  expect(states(items([told("firewall", false), told("antivirus", true)], [asked]))).toEqual({
    "disk-encryption": ["missing", "must"],
    firewall: ["bad", "must"],
    antivirus: ["good", undefined],
    "screen-lock": ["missing", "should"],
  });
});

test("of several groups the stricter counts", () => {
  const asked = [{ must: ["firewall"], max_age_s: 3_600 }, { should: ["firewall"], max_age_s: 600 }];
  expect(states(items([told("firewall", true, 900)], asked))).toEqual({ firewall: ["stale", "must"] });
  const lasting = asked.map((a) => ({ ...a, when_silent: "static" }));
  expect(states(items([told("firewall", true, 900)], lasting))).toEqual({ firewall: ["good", "must"] });
});

test("without a group that asks it is the word of the managing system, for a day", () => {
  expect(states(items([], []))).toEqual({ managed: ["missing", "must"] });
  expect(states(items([told("managed", true, 86_401)], []))).toEqual({ managed: ["stale", "must"] });
});

test("the lowest version is that of the device's own system", () => {
  const asked = [{ must: ["os-version"], os: { windows: "10.0.22631", ios: "17.4" } }];
  expect(items([told("os-version", null, 60, "ios 17.1")], asked)[0]).toMatchObject({ state: "told", least: "ios 17.4" });
  expect(items([], asked)[0]?.least).toBe("windows 10.0.22631, ios 17.4");
});
