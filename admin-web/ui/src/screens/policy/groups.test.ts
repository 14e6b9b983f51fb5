import { expect, test } from "vitest";
import { groupLines, groupsOf } from "./groups";

test("what is read back is what was shown", () => {
  const groups = { "SG-Engineering": "eng", "a = b": "sales" };
  expect(groupsOf(groupLines(groups))).toEqual(groups);
  expect(groupLines({})).toBe("");
});

test("a line without ours is the API's to refuse, at its name", () => {
  expect(groupsOf("\n 工場  =  plc \nnobody")).toEqual({ 工場: "plc", nobody: "" });
});
