// What the API says when something is not done (RFC 9457), as one error type for every screen.

import type { components } from "./schema.gen";

export type ProblemBody = components["schemas"]["Problem"];

/** What is wrong with one field of a form. */
export interface FieldFault {
  /** Name of the field in the body, without the JSON pointer's slashes: `label`, `services/0`. */
  field: string;
  text: string;
  /** Where it stands in a text that was sent, from 1. */
  place?: { line: number; column: number };
}

export class ApiProblem extends Error {
  readonly status: number;
  readonly kind: string;
  readonly fix: string | undefined;
  readonly requestId: string | undefined;
  readonly faults: FieldFault[];

  constructor(status: number, body: Partial<ProblemBody>) {
    super([body.title, body.detail].filter(Boolean).join(": ") || `HTTP ${status}`);
    this.name = "ApiProblem";
    this.status = status;
    this.kind = body.type?.split(/[/:#]/).pop() ?? "";
    this.fix = body.fix ?? undefined;
    this.requestId = body.request_id;
    this.faults = (body.errors ?? []).map((e, i) => {
      const place = body.places?.[i];
      return { field: fieldOf(e.pointer), text: [e.detail, e.fix].filter(Boolean).join(" — "), ...(place ? { place } : {}) };
    });
  }

  /** True where somebody else changed the thing since it was read. */
  get stale(): boolean {
    return this.status === 412;
  }
}

/** `/prefixes/0` → `prefixes/0`, `?state` → `state`; `~1` and `~0` as RFC 6901 has them. */
export function fieldOf(pointer: string): string {
  return pointer.replace(/^[/?]/, "").replace(/~1/g, "/").replace(/~0/g, "~");
}

/** An error of any kind as a problem: a lost connection has status 0. */
export function problemOf(e: unknown): ApiProblem {
  if (e instanceof ApiProblem) return e;
  return new ApiProblem(0, { title: e instanceof Error ? e.message : String(e) });
}
