// Rules: who may open what. Read in their order; what no rule allows is denied.

import { useMemo } from "react";
import { api, ifMatch, must, once, type Schemas } from "../../api/client";
import { Pill, To, When } from "../../frame/bits";
import { useT, word } from "../../i18n";
import { to } from "../../url/state";
import { paged } from "../paged";
import { conditions, rates } from "./terms";
import type { Draft } from "../../form/Form";
import { Resource, type ResourceOf } from "../Resource";

type Rule = Schemas["Kept_Rule"];
type Body = Schemas["Rule"];

/** True where it decides nothing yet. */
function isWatched(r: Rule): boolean {
  return r.monitor_until != null && Date.parse(r.monitor_until) > Date.now();
}

export default function Rules() {
  const t = useT();
  const of = useMemo<ResourceOf<Rule>>(() => {
    // Only a rule towards the UE names services of the UE, and only one that allows has rates and a choice of records. What
    // was written there before somebody chose otherwise is left out.
    const inward = (d: Draft) => d["direction"] === "in";
    const allows = (d: Draft) => !["deny", "reject", "quarantine"].includes(String(d["verdict"]));
    const body = (d: Draft) =>
      ({
        ...d,
        ...(inward(d) ? {} : { to: [] }),
        ...(allows(d) ? {} : { rate_ul_bps: null, rate_dl_bps: null, record: "all" }),
      }) as Body;
    const words = (names: readonly ("in" | "out")[]) => names.map((v) => ({ value: v, label: t.words[v] }));
    const verdicts = [
      ...(["allow", "deny", "reject"] as const).map((v) => ({ value: v as string, label: t.words[v] })),
      { value: "step-up", label: t.conditions.stepUp },
      { value: "quarantine", label: t.conditions.quarantine },
      { value: "risk", label: t.conditions.byRisk },
    ];
    const any = { value: "", label: t.conditions.any };
    const values = (names: readonly (keyof typeof t.conditions.values)[]) => [any, ...names.map((v) => ({ value: v as string, label: t.conditions.values[v] }))];
    const levels = values(["low", "medium", "high", "critical"]);
    const asks = t.conditions.fields;
    return {
      name: "rules",
      title: t.nav.rules,
      needs: "policy",
      id: (r) => r.name,
      empty: t.lists.rules,
      order: "order",
      columns: [
        { id: "order", head: t.fields.order, cell: (r) => r.order, by: (r) => r.order, width: 80 },
        { id: "name", head: t.fields.name, cell: (r) => r.name, by: (r) => r.name, width: 150 },
        { id: "subject", head: t.fields.subject, cell: (r) => r.subject, by: (r) => r.subject, width: 150 },
        { id: "direction", head: t.fields.direction, cell: (r) => word(t.words, r.direction), by: (r) => r.direction, width: 130 },
        { id: "app", head: t.fields.app, cell: (r) => r.app, by: (r) => r.app },
        {
          id: "verdict",
          head: t.fields.verdict,
          cell: (r) => (
            <>
              <Pill value={r.verdict} /> {isWatched(r) && <Pill value="unknown" text={t.conditions.watched} />}
            </>
          ),
          by: (r) => r.verdict,
          width: 130,
        },
        { id: "conditions", head: t.conditions.title, cell: (r) => conditions(r, t.conditions), by: (r) => conditions(r, t.conditions), width: 260 },
        { id: "to", head: t.fields.to, cell: (r) => r.to?.join(", "), width: 130 },
        { id: "rates", head: t.fields.rates, cell: (r) => rates(r.rate_ul_bps, r.rate_dl_bps), by: (r) => r.rate_dl_bps ?? r.rate_ul_bps ?? 0, width: 200 },
        { id: "record", head: t.fields.record, cell: (r) => r.record, by: (r) => r.record ?? "", width: 110 },
        { id: "hours", head: t.fields.hours, cell: (r) => r.hours, by: (r) => r.hours ?? "", width: 170 },
        { id: "until", head: t.fields.inForceUntil, cell: (r) => r.until && <When at={r.until} />, by: (r) => r.until ?? "", width: 150 },
        { id: "changed", head: t.fields.changed, cell: (r) => <When at={r.changed} />, by: (r) => r.changed, width: 180 },
      ],
      fields: [
        { name: "name", label: t.fields.name, required: true, fixed: true, help: t.lists.idHelp },
        { name: "order", label: t.fields.order, kind: "number", required: true, help: t.lists.orderHelp },
        { name: "subject", label: t.fields.subject, required: true, help: t.lists.subjectHelp },
        { name: "app", label: t.fields.app, required: true },
        { name: "direction", label: t.fields.direction, kind: "choice", choices: words(["out", "in"]) },
        { name: "to", label: t.fields.to, kind: "words", help: t.lists.toHelp, when: inward },
        { name: "verdict", label: t.fields.verdict, kind: "choice", choices: verdicts },
        { name: "posture", label: asks.posture, kind: "choice", choices: values(["compliant", "not_compliant"]) },
        { name: "sites", label: asks.sites, kind: "words", help: t.conditions.sitesHelp },
        { name: "not_sites", label: asks.not_sites, kind: "words", help: t.conditions.sitesHelp },
        { name: "radio", label: asks.radio, kind: "choice", choices: values(["nr", "eutra"]) },
        { name: "assured", label: asks.assured, kind: "flag", choices: values(["true", "false"]) },
        { name: "risk_at_most", label: asks.risk_at_most, kind: "choice", choices: levels },
        { name: "risk_at_least", label: asks.risk_at_least, kind: "choice", choices: levels },
        { name: "models", label: asks.models, kind: "words", help: t.conditions.modelsHelp },
        { name: "rate_ul_bps", label: t.fields.rateUp, kind: "number", help: t.lists.rateHelp, when: allows },
        { name: "rate_dl_bps", label: t.fields.rateDown, kind: "number", help: t.lists.rateHelp, when: allows },
        { name: "record", label: t.fields.record, help: t.lists.recordHelp, when: allows },
        { name: "hours", label: t.fields.hours, help: t.lists.hoursHelp },
        { name: "until", label: t.fields.inForceUntil, kind: "time", help: t.lists.untilHelp },
        { name: "monitor_until", label: t.conditions.monitor, kind: "time", help: t.conditions.monitorHelp },
      ],
      fresh: { name: "", order: 100, subject: "", app: "", direction: "out", verdict: "allow", to: [], rate_ul_bps: null, rate_dl_bps: null, record: "all", posture: null, sites: [], not_sites: [], radio: null, assured: null, risk_at_most: null, risk_at_least: null, models: [], hours: null, until: null, monitor_until: null },
      list: (filter, cursor) => must(api.GET("/api/v1/rules", { params: { query: paged(filter, cursor) } })),
      get: (name) => must(api.GET("/api/v1/rules/{name}", { params: { path: { name } } })),
      create: (d) => must(api.POST("/api/v1/rules", { params: { header: once() }, body: body(d) })),
      replace: (name, v, d) => must(api.PUT("/api/v1/rules/{name}", { params: { path: { name }, header: ifMatch(v) }, body: body(d) })),
      remove: (name, v) => must(api.DELETE("/api/v1/rules/{name}", { params: { path: { name }, header: ifMatch(v) } })),
      more: (r) => <To href={to("/why", { app: r.app })}>{t.nav.why}</To>,
    };
  }, [t]);
  return <Resource of={of} />;
}
