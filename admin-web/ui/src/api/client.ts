// The one client of the API, typed by the committed openapi.json. No screen speaks to the server in another way.

import createClient, { type Middleware } from "openapi-fetch";
import { getLanguage } from "../i18n/language";
import { ApiProblem, type ProblemBody } from "./problem";
import type { components, paths } from "./schema.gen";
import { remember } from "./trace";

export type Schemas = components["schemas"];

const headers: Middleware = {
  onRequest({ request }) {
    request.headers.set("Accept-Language", getLanguage());
    // Against requests that another page makes in our name: a form cannot send this header.
    if (request.method !== "GET") request.headers.set("X-Sekisho-Console", "1");
    return request;
  },
  async onResponse({ request, response, schemaPath, params }) {
    if (response.status === 401) signIn();
    await remember(request, response, schemaPath, params);
    return undefined;
  },
};

export const api = createClient<paths>({ baseUrl: location.origin });
api.use(headers);

/** Leaves for the sign-in page, and comes back here afterwards. */
export function signIn(): void {
  const next = location.pathname + location.search;
  location.assign(`/sign-in?next=${encodeURIComponent(next)}`);
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The answer's body; throws an {@link ApiProblem} for every answer that is not a success. */
export async function must<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok) return data as T;
  throw new ApiProblem(response.status, isProblem(error) ? error : {});
}

function isProblem(e: unknown): e is ProblemBody {
  return typeof e === "object" && e !== null && "title" in e;
}

/** Header of a request that makes something: whatever is sent twice under one key happens once. */
export function once(key: string = newKey()): { "Idempotency-Key": string } {
  return { "Idempotency-Key": key };
}

/** Header of a change to the version that was looked at. */
export function ifMatch(version: number): { "If-Match": string } {
  return { "If-Match": `"${version}"` };
}

/** 128 random bits. `crypto.randomUUID` is missing on plain HTTP. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
