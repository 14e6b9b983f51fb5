// Groups of SIMs: what rules speak of, and what can be put into panic at once.

import { Button, Group as Row, Text } from "@mantine/core";
import { useMemo, useState } from "react";
import { api, ifMatch, must, once, type Schemas } from "../../api/client";
import { useAct } from "../../frame/act";
import { To, When } from "../../frame/bits";
import { useMay } from "../../frame/me";
import { ReasonDialog, type Reason } from "../../frame/ReasonDialog";
import { useT } from "../../i18n";
import { to } from "../../url/state";
import { paged } from "../paged";
import { Resource, type ResourceOf } from "../Resource";

type Group = Schemas["Kept_Group"];
type Body = Schemas["Group"];

export default function Groups() {
  const t = useT();
  const of = useMemo<ResourceOf<Group>>(
    () => ({
      name: "groups",
      title: t.nav.groups,
      needs: "policy",
      id: (g) => g.name,
      empty: t.lists.groups,
      columns: [
        { id: "name", head: t.fields.name, cell: (g) => g.name, by: (g) => g.name },
        { id: "label", head: t.fields.label, cell: (g) => g.label, by: (g) => g.label ?? "", width: 180 },
        { id: "emergency", head: t.fields.emergencyApps, cell: (g) => g.emergency_apps?.join(", "), width: 150 },
        { id: "remediation", head: t.fields.remediationApps, cell: (g) => g.remediation_apps?.join(", "), width: 150 },
        { id: "changed", head: t.fields.changed, cell: (g) => <When at={g.changed} />, by: (g) => g.changed, width: 180 },
      ],
      fields: [
        { name: "name", label: t.fields.name, required: true, fixed: true, help: t.lists.idHelp },
        { name: "label", label: t.fields.label },
        { name: "emergency_apps", label: t.fields.emergencyApps, kind: "words" },
        { name: "remediation_apps", label: t.fields.remediationApps, kind: "words" },
      ],
      fresh: { name: "", label: "", emergency_apps: [], remediation_apps: [] },
      list: (filter, cursor) => must(api.GET("/api/v1/groups", { params: { query: paged(filter, cursor) } })),
      get: (name) => must(api.GET("/api/v1/groups/{name}", { params: { path: { name } } })),
      create: (d) => must(api.POST("/api/v1/groups", { params: { header: once() }, body: d as Body })),
      replace: (name, v, d) =>
        must(api.PUT("/api/v1/groups/{name}", { params: { path: { name }, header: ifMatch(v) }, body: { ...d, label: d["label"] ?? "" } as Body })),
      remove: (name, v) => must(api.DELETE("/api/v1/groups/{name}", { params: { path: { name }, header: ifMatch(v) } })),
      more: (g) => <More group={g.name} />,
    }),
    [t],
  );
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
