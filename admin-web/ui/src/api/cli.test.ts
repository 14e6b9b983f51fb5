// Every operation of the API with a question of its own, and the line that the console shows for it. The lines are kept in
// cli.lines.txt, which a test of the command line tool reads: a line that clap would refuse fails there.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { cliOf } from "./cli";

interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  items?: Schema;
  properties?: Record<string, Schema>;
  oneOf?: Schema[];
}

interface Operation {
  parameters?: { in: string; name: string; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}

const api = JSON.parse(readFileSync(new URL("../../../openapi.json", import.meta.url), "utf8")) as {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
};

/** Words that stand for themselves in a path, a query or a body. */
const WORDS: Record<string, unknown> = {
  imsi: "001010000000001",
  at: "2027-01-31T09:00:00Z",
  expires: "2027-01-31T09:00:00Z",
  state: "suspended",
  sort: "-changed",
  scope: "person",
  action: "suspend",
  mode: "dry-run",
  reason: "it's a reason",
  pattern: "35693803564380",
  direction: "in",
};

function sample(name: string, s: Schema | undefined): unknown {
  if (name in WORDS) return WORDS[name];
  if (s?.$ref) return sample(name, api.components.schemas[s.$ref.split("/").pop() ?? ""]);
  const one = s?.oneOf?.find((x) => x.type !== "null");
  if (one) return sample(name, one);
  const type = Array.isArray(s?.type) ? s.type.find((x) => x !== "null") : s?.type;
  if (s?.enum) return s.enum[0];
  if (type === "integer" || type === "number") return 7;
  if (type === "boolean") return true;
  if (type === "array") return [sample("item", s?.items), sample("item", s?.items)];
  if (type === "object" || s?.properties) {
    return Object.fromEntries(Object.entries(s?.properties ?? {}).map(([k, v]) => [k, sample(k, v)]));
  }
  return name === "id" ? "7" : `a ${name}`;
}

/** What is asked beside the full question, where a part of it makes another line. */
const MORE: Record<string, unknown[]> = {
  "POST /api/v1/grants": ["sim:001010000000001", "person:tanaka"].map((to) => ({ to, app: "wiki", reason: "x", until: "2027-01-31T09:00:00Z" })),
  "POST /api/v1/rules": [{ name: "a", order: 1, subject: "any", app: "wiki", direction: "out", verdict: "step-up", assured: false }],
  "POST /api/v1/sims/{imsi}/state": ["active", "retired"].map((state) => ({ state, reason: "x" })),
  "PATCH /api/v1/sims/{imsi}": [{ device_id: "pc-1", person: "tanaka", site: "osaka" }],
  "POST /api/v1/revocations": ["sim", "imei", "device", "group", "site"].map((scope) => ({ scope, value: "x", state: "lost", reason: "x" })),
  "POST /api/v1/sims/{imsi}/end-date": [{ at: null, reason: "x" }],
  "POST /api/v1/sims/bulk": [{ filter: { state: "stock", group: "a", q: "b", site: "c" }, expect: 2, state: "active", reason: "x" }],
  "POST /api/v1/operators": [{ name: "a", display: "A", grants: [{ roles: ["soc"], scopes: ["ban"], groups: ["g"], sites: ["s"] }] }],
  "PATCH /api/v1/operators/{name}": [{ grants: [{ roles: ["soc"] }] }, { new_password: true }, { second_factor: false }, { disabled: false }],
};

/** Operations without a line, each with why. */
const NONE: Record<string, string> = {
  "POST /api/v1/operators": "several grants are said in no one line",
};

const given = Object.entries(api.paths).flatMap(([template, item]) =>
  Object.entries(item).map(([method, o]) => {
    const part = (where: string) => Object.fromEntries((o.parameters ?? []).filter((p) => p.in === where).map((p) => [p.name, String(sample(p.name, p.schema))]));
    const schema = o.requestBody?.content["application/json"]?.schema;
    const name = `${method.toUpperCase()} ${template}`;
    return { method: method.toUpperCase(), template, name, path: part("path"), query: part("query"), bodies: [schema && sample("body", schema), ...(MORE[name] ?? [])] };
  }),
);

test("each line is one that the command line tool takes", async () => {
  const lines: string[] = [];
  const none: string[] = [];
  for (const { method, template, name, path, query, bodies } of given) {
    // A session is named by its SIM and its number; an app and an address exclude each other.
    if (template.includes("/sessions/{id}")) path["id"] = "001010000000001-1";
    if (template === "/api/v1/decisions") delete query["address"];
    const said = bodies.map((body) => cliOf(method, template, { path, query, body })).filter((l) => l !== undefined);
    lines.push(...said);
    if (said.length < bodies.length && !NONE[name]) none.push(name);
  }
  await expect(`${lines.join("\n")}\n`).toMatchFileSnapshot("./cli.lines.txt");
  await expect(`${none.join("\n")}\n`).toMatchFileSnapshot("./cli.none.txt");
});
