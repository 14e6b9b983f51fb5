// Groups of SIMs: what rules speak of, and what can be put into panic at once.

import { Button, Group as Row, Text } from "@mantine/core";
import { useMemo, useState } from "react";
import { api, ifMatch, must, once, type Schemas } from "../../api/client";
import type { Draft } from "../../form/Form";
import { useAct } from "../../frame/act";
import { To, When } from "../../frame/bits";
import { useMay } from "../../frame/me";
import { ReasonDialog, type Reason } from "../../frame/ReasonDialog";
import { useT } from "../../i18n";
import { to } from "../../url/state";
import { CHECKS } from "../known/health";
import { paged } from "../paged";
import { Resource, type ResourceOf } from "../Resource";

/** A group as the form has it: what it asks of devices stands beside the rest, by the names of its places. */
type Group = Schemas["Kept_Group"] & Draft;
type Body = Schemas["Group"];

const SILENCE = ["closed", "remediation", "static"] as const;

function flat(g: Schemas["Kept_Group"]): Group {
  const p = g.posture;
  return {
    ...g,
    "posture/must": p?.must ?? [],
    "posture/should": p?.should ?? [],
    "posture/os": Object.entries(p?.os ?? {}).map(([name, version]) => `${name}:${version}`),
    "posture/max_age_s": p?.max_age_s,
    "posture/when_silent": p?.when_silent,
  };
}

function bodyOf(d: Draft): Body {
  const words = (name: string) => (d[name] as string[] | undefined) ?? [];
  const text = (name: string) => (d[name] ? String(d[name]) : null);
  const [must, should] = [words("posture/must"), words("posture/should")];
  const age = d["posture/max_age_s"];
  return {
    name: text("name") ?? "",
    label: text("label") ?? "",
    department: text("department"),
    role: text("role"),
    contractor: d["contractor"] === true,
    ends_at: text("ends_at"),
    emergency_apps: words("emergency_apps"),
    remediation_apps: words("remediation_apps"),
    ...(must.length + should.length > 0
      ? {
          posture: {
            must,
            should,
            os: Object.fromEntries(words("posture/os").map((w) => [w.split(":")[0] ?? "", w.split(":")[1] ?? ""])),
            max_age_s: age == null ? null : Number(age),
            when_silent: text("posture/when_silent"),
          },
        }
      : {}),
  };
}

export default function Groups() {
  const t = useT();
  const of = useMemo<ResourceOf<Group>>(() => {
    const checks = CHECKS.map((c) => ({ value: c, label: c }));
    const silence = [{ value: "", label: t.groups.whenSilent.closed }, ...SILENCE.slice(1).map((s) => ({ value: s, label: t.groups.whenSilent[s] }))];
    const asks = (d: Draft) => ["posture/must", "posture/should"].some((n) => ((d[n] as string[] | undefined) ?? []).length > 0);
    return {
      name: "groups",
      title: t.nav.groups,
      needs: "policy",
      id: (g) => g.name,
      empty: t.lists.groups,
      columns: [
        { id: "name", head: t.fields.name, cell: (g) => g.name, by: (g) => g.name },
        { id: "label", head: t.fields.label, cell: (g) => g.label, by: (g) => g.label ?? "", width: 180 },
        { id: "department", head: t.groups.department, cell: (g) => g.department, by: (g) => g.department ?? "", width: 130 },
        { id: "must", head: t.groups.must, cell: (g) => g.posture?.must?.join(", "), by: (g) => g.posture?.must?.join() ?? "", width: 200 },
        { id: "emergency", head: t.fields.emergencyApps, cell: (g) => g.emergency_apps?.join(", "), width: 150 },
        { id: "remediation", head: t.fields.remediationApps, cell: (g) => g.remediation_apps?.join(", "), width: 150 },
        { id: "changed", head: t.fields.changed, cell: (g) => <When at={g.changed} />, by: (g) => g.changed, width: 180 },
      ],
      fields: [
        { name: "name", label: t.fields.name, required: true, fixed: true, help: t.lists.idHelp },
        { name: "label", label: t.fields.label },
        { name: "department", label: t.groups.department },
        { name: "role", label: t.groups.role },
        { name: "contractor", label: t.groups.contractor, kind: "flag", choices: [{ value: "false", label: t.frame.no }, { value: "true", label: t.frame.yes }] },
        { name: "ends_at", label: t.fields.endsAt, kind: "time", help: t.groups.endsHelp },
        { name: "posture/must", label: t.groups.must, kind: "words", choices: checks, help: CHECKS.join(", ") },
        { name: "posture/should", label: t.groups.should, kind: "words", choices: checks },
        { name: "posture/os", label: t.groups.os, kind: "words", help: t.groups.osHelp, when: asks },
        { name: "posture/max_age_s", label: t.groups.age, kind: "number", help: t.groups.ageHelp, when: asks },
        { name: "posture/when_silent", label: t.groups.silent, kind: "choice", choices: silence, when: asks },
        { name: "emergency_apps", label: t.fields.emergencyApps, kind: "words" },
        { name: "remediation_apps", label: t.fields.remediationApps, kind: "words" },
      ],
      fresh: { name: "", label: "", contractor: false, emergency_apps: [], remediation_apps: [] },
      list: async (filter, cursor) => {
        const page = await must(api.GET("/api/v1/groups", { params: { query: paged(filter, cursor) } }));
        return { ...page, items: page.items.map(flat) };
      },
      get: async (name) => flat(await must(api.GET("/api/v1/groups/{name}", { params: { path: { name } } }))),
      create: async (d) => flat(await must(api.POST("/api/v1/groups", { params: { header: once() }, body: bodyOf(d) }))),
      replace: async (name, v, d) =>
        flat(await must(api.PUT("/api/v1/groups/{name}", { params: { path: { name }, header: ifMatch(v) }, body: bodyOf(d) }))),
      remove: (name, v) => must(api.DELETE("/api/v1/groups/{name}", { params: { path: { name }, header: ifMatch(v) } })),
      more: (g) => <More group={g.name} />,
    };
  }, [t]);
  return <Resource of={of} />;
}

function More({ group }: { group: string }) {
  const t = useT();
  const may = useMay();
  const [asking, setAsking] = useState<"panic" | "calm">();
  return (
    <>
      <To href={to("/sims", { group })}>{t.lists.itsSims}</To>
      {may("quarantine") && (
        <Row gap="xs">
          <Button size="xs" color="red" onClick={() => setAsking("panic")}>
            {t.groups.panic}
          </Button>
          <Button size="xs" variant="default" onClick={() => setAsking("calm")}>
            {t.groups.calm}
          </Button>
        </Row>
      )}
      {asking && <Ask group={group} kind={asking} close={() => setAsking(undefined)} />}
    </>
  );
}

function Ask({ group, kind, close }: { group: string; kind: "panic" | "calm"; close: () => void }) {
  const t = useT();
  const act = useAct({
    run: (why: Reason) => {
      const body = { reason: why.reason, ticket: why.ticket ?? "" };
      const params = { path: { name: group }, header: once() };
      return kind === "panic"
        ? must(api.POST("/api/v1/groups/{name}/panic", { params, body }))
        : must(api.POST("/api/v1/groups/{name}/calm", { params, body }));
    },
    done: t.frame.done,
    touches: ["groups", "revocations", "sessions"],
    after: close,
    fields: ["reason", "ticket"],
  });
  return (
    <ReasonDialog title={`${t.groups[kind]}: ${group}`} action={t.groups[kind]} act={act} close={close} danger={kind === "panic"}>
      <Text size="sm">{kind === "panic" ? t.groups.panicWhat : t.groups.calmWhat}</Text>
    </ReasonDialog>
  );
}
