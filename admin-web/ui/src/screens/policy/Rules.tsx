// Rules: who may open what. Read in their order; what no rule allows is denied.

import { useMemo } from "react";
import { api, ifMatch, must, once, type Schemas } from "../../api/client";
import { Pill, To, When } from "../../frame/bits";
import { useT, word } from "../../i18n";
import { to } from "../../url/state";
import { paged } from "../paged";
import { rates } from "./terms";
import type { Draft } from "../../form/Form";
import { Resource, type ResourceOf } from "../Resource";

type Rule = Schemas["Kept_Rule"];
type Body = Schemas["Rule"];

export default function Rules() {
  const t = useT();
  const of = useMemo<ResourceOf<Rule>>(() => {
    // Only a rule towards the UE names services of the UE, and only one that allows has rates and a choice of records. What
    // was written there before somebody chose otherwise is left out.
    const inward = (d: Draft) => d["direction"] === "in";
    const allows = (d: Draft) => d["verdict"] === "allow";
    const body = (d: Draft) =>
      ({
        ...d,
        ...(inward(d) ? {} : { to: [] }),
        ...(allows(d) ? {} : { rate_ul_bps: null, rate_dl_bps: null, record: "all" }),
      }) as Body;
    const words = (names: readonly ("allow" | "deny" | "reject" | "in" | "out")[]) =>
      names.map((v) => ({ value: v, label: t.words[v] }));
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
        { id: "to", head: t.fields.to, cell: (r) => r.to?.join(", "), width: 130 },
        { id: "verdict", head: t.fields.verdict, cell: (r) => <Pill value={r.verdict} />, by: (r) => r.verdict },
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
        { name: "verdict", label: t.fields.verdict, kind: "choice", choices: words(["allow", "deny", "reject"]) },
        { name: "rate_ul_bps", label: t.fields.rateUp, kind: "number", help: t.lists.rateHelp, when: allows },
        { name: "rate_dl_bps", label: t.fields.rateDown, kind: "number", help: t.lists.rateHelp, when: allows },
        { name: "record", label: t.fields.record, help: t.lists.recordHelp, when: allows },
        { name: "hours", label: t.fields.hours, help: t.lists.hoursHelp },
        { name: "until", label: t.fields.inForceUntil, kind: "time", help: t.lists.untilHelp },
      ],
      fresh: { name: "", order: 100, subject: "", app: "", direction: "out", verdict: "allow", to: [], rate_ul_bps: null, rate_dl_bps: null, record: "all", hours: null, until: null },
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
