import { expect, test } from "vitest";
import { kindOf, withoutUse, withUse, type Model, type Template } from "./templates";

const base: Template = { name: "base", parameters: ["who", "ports"], rules: [{ name: "in", subject: "group:${who}", to: "${ports}", order: 3 }] };
const dept: Template = {
  name: "dept",
  parameters: ["group", "services", "place", "rank"],
  rules: [{ name: "wiki", subject: "group:${group}", order: "${rank}", sites: ["${place}"] }],
  uses: [{ name: "b", template: "base", with: { who: "${group}", ports: "${services}" } }],
};

test("a parameter is what it stands for, through other templates too", () => {
  const kinds = (t: Template) => (t.parameters ?? []).map((p) => kindOf(t, p, [base, dept]));
  expect(kinds(base)).toEqual(["text", "list"]);
  expect(kinds(dept)).toEqual(["text", "list", "text", "number"]);
  const loop: Template = { name: "loop", parameters: ["p"], uses: [{ name: "x", template: "loop", with: { p: "${p}" } }] };
  expect(kindOf(loop, "p", [loop])).toBe("text");
});

test("a use is added, changed in its place and taken away, and nothing else", () => {
  const model = { apps: [], groups: [], rules: [], tests: [], templates: [dept], uses: [{ name: "a", template: "dept" }, { name: "c", template: "dept" }] } as Model;
  const names = (m: Model) => m.uses.map((u) => u.name).join("");
  expect(names(withUse(model, { name: "b", template: "dept" }, undefined))).toBe("acb");
  expect(names(withUse(model, { name: "b", template: "dept" }, "a"))).toBe("bc");
  expect(names(withoutUse(model, "a"))).toBe("c");
  expect(names(model)).toBe("ac");
  expect(withoutUse(model, "a").templates).toBe(model.templates);
});
