// What is known of each hop of a SIM's path, gathered from the API. Each hop is judged by its own evidence.

import { api, must } from "../../api/client";
import type { Messages } from "../../i18n";
import { word } from "../../i18n";
import type { Format } from "../../i18n/format";
import { to } from "../../url/state";
import { example, serviceOf } from "./service";

export interface Hop {
  id: string;
  kind: string;
  name: string;
  state: "good" | "bad" | "note";
  evidence: string;
  href?: string;
}

export async function readPath(imsi: string, wanted: string, t: Messages, f: Format): Promise<Hop[]> {
  const path = { imsi };
  const [sim, sessions, system, flows, apps] = await Promise.all([
    must(api.GET("/api/v1/sims/{imsi}", { params: { path } })),
    must(api.GET("/api/v1/sessions", { params: { query: { imsi } } })),
    must(api.GET("/api/v1/system")),
    must(api.GET("/api/v1/flows", { params: { query: { imsi, limit: 1, ...(wanted ? { app: wanted } : {}) } } })),
    must(api.GET("/api/v1/apps", { params: { query: { limit: 200 } } })),
  ]);
  const session = sessions.items[0];
  const flow = flows.items[0];
  // Without an app that somebody asked for: the one of the last flow, else the first that offers something.
  const named = wanted || flow?.app || "";
  const app = apps.items.find((a) => a.name === named) ?? apps.items.find((a) => (a.services?.length ?? 0) > 0);
  // What was seen last is asked about; without it, the first service of the app.
  const offered = app?.services?.[0];
  const question = flow
    ? { imsi, address: flow.peer, service: serviceOf(flow), direction: flow.direction }
    : app && offered
      ? { imsi, app: app.name, service: example(offered), direction: "out" as const }
      : undefined;
  const verdict = question && (await must(api.GET("/api/v1/decisions", { params: { query: question } })));
  const gnb = system.gnbs.find((g) => g.name === session?.gnb);
  const gateway = system.parts.find((p) => p.name === "gateway");
  const banned = sim.state === "lost" || sim.state === "stolen";

  return [
    {
      id: "ue",
      kind: "UE",
      name: sim.label || imsi,
      state: banned ? "bad" : session ? "good" : "note",
      evidence: `${word(t.words, sim.state)}${session ? ` · ${session.ip} · ${t.fields.since} ${f.time(session.since)}` : ` · ${t.sim.noSessions}`}${session || !sim.last_seen ? "" : ` · ${t.fields.lastSign} ${f.time(sim.last_seen)}`}`,
      href: `/sims/${imsi}`,
    },
    {
      id: "cell",
      kind: t.path.radio,
      name: [session?.gnb, session?.cell].filter(Boolean).join(" / ") || "–",
      state: session?.connected ? "good" : session ? "note" : "bad",
      evidence: session?.connected
        ? `${t.path.connected(session.tai ?? "")} · ${t.fields.since} ${f.time(session.since)}`
        : session
          ? t.path.idle
          : t.sim.noSessions,
      href: "/radios",
    },
    {
      id: "core",
      kind: t.path.core,
      name: gnb?.name ? `N2 ${gnb.address}` : "N2",
      state: system.gnbs.length > 0 ? "good" : "bad",
      evidence: gnb ? t.path.radioSince(gnb.name, f.time(gnb.since)) : t.path.radios(system.gnbs.length),
      href: "/radios",
    },
    {
      id: "gateway",
      kind: t.path.gateway,
      name: t.path.generation(system.enforced_generation ?? 0),
      state: gateway?.up && !session?.banned ? "good" : "bad",
      evidence: session?.banned ? t.reasons.banned : (gateway?.detail ?? ""),
      href: "/health",
    },
    {
      id: "rule",
      kind: t.path.rule,
      name: verdict?.rule ?? t.words.none,
      state: !verdict || verdict.verdict === "inspect" ? "note" : verdict.verdict === "allow" ? "good" : "bad",
      evidence: verdict ? `${word(t.words, verdict.verdict)}: ${word(t.reasons, verdict.reason)}` : t.path.noApp,
      href: verdict?.rule ? to("/rules", { open: verdict.rule }) : to("/why", { ...question, direction: question?.direction === "in" ? "in" : "" }),
    },
    {
      id: "app",
      kind: t.path.app,
      name: app?.name ?? "–",
      state: !flow || flow.app !== app?.name ? "note" : flow.verdict === "allow" ? "good" : "bad",
      evidence: flow
        ? `${t.path.lastFlow} ${f.time(flow.end)}: ${word(t.words, flow.verdict)} ${flow.peer} ↑${f.bytes(flow.bytes_up)} ↓${f.bytes(flow.bytes_down)}`
        : t.path.noFlow,
      href: app ? to("/apps", { open: app.name }) : "/apps",
    },
  ];
}
