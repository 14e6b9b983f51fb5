import { expect, test } from "vitest";
import { added, by, most, nothing, type Stretch } from "./replay";

const kind = (imsi: string, app: string | null, allowed: boolean, flows: number, person: string | null = null) =>
  ({ imsi, app, allowed, flows, person, direction: "out", protocol: 6, port: 443, first: "", peer: "", rule: null, was_rule: null }) as Stretch["kinds"][number];
const stretch = (kinds: Stretch["kinds"], more: Partial<Stretch> = {}): Stretch => ({
  records: 10, newly_denied: 0, newly_allowed: 0, unsure: 0, not_by_rules: 0, untold: 0, next: null, done: 5, total: 10, kinds, ...more,
});

test("what goes over two stretches is one kind", () => {
  const first = added(nothing(), stretch([kind("1", "wiki", false, 3)], { newly_denied: 3, next: "0-5" }));
  expect(first.done).toBe(0.5);
  const all = added(first, stretch([kind("1", "wiki", false, 4), kind("2", null, true, 1, "tanaka")], { newly_denied: 4, newly_allowed: 1 }));
  expect([all.records, all.denied, all.allowed, all.done, all.kinds.size]).toEqual([20, 7, 1, 1, 2]);
  expect(by(all, "app")).toEqual([{ name: "wiki", denied: 7, allowed: 0 }, { name: undefined, denied: 0, allowed: 1 }]);
  expect(by(all, "person").map((b) => b.name)).toEqual([undefined, "tanaka"]);
  expect(most(all, 1).map((k) => k.flows)).toEqual([7]);
});

test("a log without octets is not divided by", () => {
  expect(added(nothing(), stretch([], { next: "0-0", done: 0, total: 0 })).done).toBe(0);
});
