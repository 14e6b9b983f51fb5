// What this browser asked of the API, newest first: shown as curl and as a line of the command line tool.

import { useSyncExternalStore } from "react";
import { cliOf } from "./cli";
import { quote } from "./shell";

export interface Call {
  id: number;
  at: number;
  method: string;
  /** Path and query as sent. */
  path: string;
  status: number;
  curl: string;
  /** The same by `sekisho …`, where there is such a verb. */
  cli: string | undefined;
}

const MOST = 60;
/** Characters of a body that are shown. */
const LONGEST = 4_000;
let calls: Call[] = [];
let next = 1;
const listeners = new Set<() => void>();

/** Values under these names are never shown. */
const SECRET = new Set(["k", "op", "opc", "top", "topc", "private_key", "password", "old", "new", "code", "secret", "token", "poll_token"]);

export interface Params {
  query?: Record<string, unknown>;
  header?: Record<string, unknown>;
  path?: Record<string, unknown>;
}

/** Notes a call. A repeated read only moves up, so that polling does not push out what a person did. */
export async function remember(request: Request, response: Response, template: string, params: Params): Promise<void> {
  const url = new URL(request.url);
  const path = url.pathname + url.search;
  const body = await bodyOf(request);
  const call: Call = {
    id: next++,
    at: Date.now(),
    method: request.method,
    path,
    status: response.status,
    curl: curlOf(request, url, body),
    cli: cliOf(request.method, template, { path: words(params.path), query: words(params.query), body }),
  };
  const others = request.method === "GET" ? calls.filter((c) => c.method !== "GET" || c.path !== path) : calls;
  calls = [call, ...others].slice(0, MOST);
  listeners.forEach((l) => l());
}

export function useCalls(): Call[] {
  return useSyncExternalStore(
    (l) => {
      listeners.add(l);
      return () => listeners.delete(l);
    },
    () => calls,
  );
}

async function bodyOf(request: Request): Promise<unknown> {
  if (request.method === "GET" || request.bodyUsed) return undefined;
  if (!request.headers.get("content-type")?.includes("json")) return undefined;
  try {
    const text = await request.clone().text();
    return text === "" ? undefined : masked(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** The same without secrets. */
export function masked(v: unknown): unknown {
  if (Array.isArray(v)) return v.map(masked);
  if (typeof v !== "object" || v === null) return v;
  return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, SECRET.has(k) && x ? "…" : masked(x)]));
}

function words(o: Record<string, unknown> | undefined): Record<string, string> {
  const all = Object.entries(o ?? {}).filter(([, v]) => v !== undefined && v !== null && v !== "");
  return Object.fromEntries(all.map(([k, v]) => [k, String(v)]));
}

function curlOf(request: Request, url: URL, body: unknown): string {
  const parts = ["curl"];
  if (request.method !== "GET") parts.push("-X", request.method);
  parts.push("-H", quote("Authorization: Bearer $SEKISHO_TOKEN", '"'));
  for (const name of ["idempotency-key", "if-match", "content-type"]) {
    const value = request.headers.get(name);
    if (value && request.method !== "GET") parts.push("-H", quote(`${name}: ${value}`));
  }
  if (body !== undefined) parts.push("--data", said(JSON.stringify(body)));
  else if (request.method === "POST" && request.headers.get("content-type") === "text/csv") {
    parts.push("--data-binary", "@sims.csv");
  }
  parts.push(quote(url.href));
  return parts.join(" ");
}

/** A body as it is typed, or by a file where nobody would type it. */
function said(body: string): string {
  return body.length > LONGEST ? "@body.json" : quote(body);
}
