// Templates of a policy and where they are used, and the policy with a use more, another one or one less.

import type { Schemas } from "../../api/client";

/** The model, with what the API's document leaves open. */
export type Model = Omit<Schemas["PolicyModel"], "templates" | "uses"> & { templates: Template[]; uses: Use[] };

export interface Template {
  name: string;
  label?: string;
  parameters?: string[];
  rules?: Record<string, unknown>[];
  uses?: Use[];
}

export interface Use {
  name: string;
  template: string;
  with?: Record<string, unknown>;
}

export function modelOf(answer: Schemas["PolicyTextAnswer"]): Model {
  return answer.policy as unknown as Model;
}

export type Kind = "text" | "number" | "list";

/** Fields of rules that hold several, and those that hold a number. */
const LISTS = ["to", "sites", "not_sites", "models"];
const NUMBERS = ["order", "rate_ul_bps", "rate_dl_bps"];

/** What a parameter stands for, by the fields of the rules where it stands alone; within other templates too. */
export function kindOf(template: Template, parameter: string, all: Template[], deep = 0): Kind {
  const alone = `\${${parameter}}`;
  for (const rule of template.rules ?? []) {
    for (const [field, value] of Object.entries(rule)) {
      if (value !== alone) continue;
      if (LISTS.includes(field)) return "list";
      if (NUMBERS.includes(field)) return "number";
    }
  }
  for (const inner of deep < 8 ? (template.uses ?? []) : []) {
    const next = all.find((x) => x.name === inner.template);
    if (!next) continue;
    for (const [name] of Object.entries(inner.with ?? {}).filter(([, value]) => value === alone)) {
      const kind = kindOf(next, name, all, deep + 1);
      if (kind !== "text") return kind;
    }
  }
  return "text";
}

/** The policy with this use in the place of the one that is called `before`, or beside the others. */
export function withUse(model: Model, use: Use, before: string | undefined): Model {
  const at = model.uses.findIndex((u) => u.name === before);
  const uses = at < 0 ? [...model.uses, use] : model.uses.map((u, i) => (i === at ? use : u));
  return { ...model, uses };
}

export function withoutUse(model: Model, name: string): Model {
  return { ...model, uses: model.uses.filter((u) => u.name !== name) };
}
