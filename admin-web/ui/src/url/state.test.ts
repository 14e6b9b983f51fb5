import { describe, expect, test } from "vitest";
import { readSort, readValues, to, withValues, writeSort } from "./state";

describe("what a screen shows stands in its address", () => {
  test("an empty value leaves the address, others stay", () => {
    const before = new URLSearchParams("state=lost&sort=-changed&q=a%20b");
    expect(withValues(before, { state: "", q: "c&d" }).toString()).toBe("sort=-changed&q=c%26d");
    expect(before.get("state")).toBe("lost");
  });
  test("an absent value reads as the empty text", () => {
    expect(readValues(new URLSearchParams("q=x"), ["q", "state"])).toEqual({ q: "x", state: "" });
  });
  test("a sort is read as it was written", () => {
    for (const text of ["label", "-changed"]) expect(writeSort(readSort(text))).toBe(text);
    expect(readSort("")).toBeUndefined();
    expect(readSort("-")).toBeUndefined();
  });
  test("a link carries only what is given", () => {
    expect(to("/why", { imsi: "001", app: undefined, address: "" })).toBe("/why?imsi=001");
    expect(to("/why")).toBe("/why");
  });
});
