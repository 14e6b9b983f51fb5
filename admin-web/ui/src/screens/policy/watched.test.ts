import { expect, test } from "vitest";
import { hoursOf } from "./watched";

test("a week ends with the last hour in which there was something, and quiet hours stand between", () => {
  const hour = (at: string, would_deny: number, would_allow: number) => ({ at, would_deny, would_allow });
  const week = hoursOf([hour("2026-05-01T00:00:00Z", 9, 9), hour("2026-05-09T10:00:00Z", 0, 1), hour("2026-05-09T13:00:00Z", 2, 0)]);
  expect(week).toHaveLength(168);
  expect(week.slice(-4).map((h) => [h.denied, h.allowed])).toEqual([[0, 1], [0, 0], [0, 0], [2, 0]]);
  expect(week.filter((h) => h.denied + h.allowed > 0)).toHaveLength(2);
});
