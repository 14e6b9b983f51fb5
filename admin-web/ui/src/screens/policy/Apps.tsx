// Company applications: where they are and what they offer.

import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { api, ifMatch, must, once, type Schemas } from "../../api/client";
import { Pill, To, When } from "../../frame/bits";
import { useT, word } from "../../i18n";
import { to } from "../../url/state";
import { paged } from "../paged";
import { mark } from "./terms";
import { Resource, type ResourceOf } from "../Resource";

type App = Schemas["Kept_App"];
type Body = Schemas["App"];
type Health = Schemas["AppHealth"];

/** Whether an app works, since when, and what is wrong. */
function Works({ of: h }: { of: Health | undefined }) {
  if (!h) return null;
  return (
    <span title={h.why ?? h.probe}>
      <Pill value={h.state} /> {h.since && <When at={h.since} />}
    </span>
  );
}

/** An app that nobody made. */
function BuiltIn({ of: a }: { of: Body }) {
  const t = useT();
  return (
    <Text size="sm" c="dimmed">
      {t.lists.builtInApp(a.name)} {[...(a.names ?? []), ...a.prefixes, ...(a.services ?? [])].join(" · ")}
    </Text>
  );
}

export default function Apps() {
  const t = useT();
  const system = useQuery({ queryKey: ["system"], queryFn: () => must(api.GET("/api/v1/system")), refetchInterval: 15_000 });
  const asked = system.data?.apps;
  const builtIn = system.data?.built_in_apps;
  const sources = (["tls", "dns"] as const).map((v) => ({ value: v, label: t.words[v] }));
  const levels = (["public", "internal", "confidential"] as const).map((v) => ({ value: v, label: t.words[v] }));
  const of = useMemo<ResourceOf<App>>(
    () => ({
      name: "apps",
      title: t.nav.apps,
      needs: "policy",
      id: (a) => a.name,
      empty: t.lists.apps,
      note: builtIn?.map((a) => <BuiltIn key={a.name} of={a} />),
      columns: [
        { id: "name", head: t.fields.name, cell: (a) => a.name, by: (a) => a.name },
        { id: "label", head: t.fields.label, cell: (a) => a.label, by: (a) => a.label ?? "", width: 160 },
        { id: "prefixes", head: t.fields.prefixes, cell: (a) => a.prefixes.join(", "), by: (a) => a.prefixes.join(), width: 180 },
        { id: "services", head: t.fields.services, cell: (a) => a.services?.join(", "), by: (a) => a.services?.join() ?? "", width: 160 },
        { id: "names", head: t.fields.serverNames, cell: (a) => a.names?.join(", "), by: (a) => a.names?.join() ?? "", width: 170 },
        { id: "sensitivity", head: t.fields.sensitivity, cell: (a) => word(t.words, a.sensitivity), by: (a) => a.sensitivity ?? "", width: 110 },
        { id: "works", head: t.fields.probe, cell: (a) => <Works of={asked?.find((h) => h.name === a.name)} />, by: (a) => asked?.find((h) => h.name === a.name)?.state ?? "", width: 180 },
        { id: "mark", head: t.fields.mark, cell: (a) => mark(a), by: (a) => mark(a), width: 130 },
        { id: "changed", head: t.fields.changed, cell: (a) => <When at={a.changed} />, by: (a) => a.changed, width: 180 },
      ],
      fields: [
        { name: "name", label: t.fields.name, required: true, fixed: true, help: t.lists.idHelp },
        { name: "label", label: t.fields.label },
        { name: "prefixes", label: t.fields.prefixes, kind: "words", required: true, help: t.lists.prefixHelp },
        { name: "services", label: t.fields.services, kind: "words", help: t.lists.serviceHelp },
        { name: "names", label: t.fields.serverNames, kind: "words", help: t.lists.namesHelp },
        { name: "names_from", label: t.fields.namesFrom, kind: "choice", choices: sources, help: t.lists.namesFromHelp },
        { name: "sensitivity", label: t.fields.sensitivity, kind: "choice", choices: levels, help: t.lists.sensitivityHelp },
        { name: "health", label: t.fields.probe, help: t.lists.probeHelp },
        { name: "dscp", label: t.fields.dscp, kind: "number", help: t.lists.dscpHelp },
        { name: "qfi", label: t.fields.qfi, kind: "number", help: t.lists.qfiHelp },
      ],
      fresh: { name: "", label: "", prefixes: [], services: [], names: [], names_from: "tls", sensitivity: "internal", health: null, dscp: null, qfi: null },
      list: (filter, cursor) => must(api.GET("/api/v1/apps", { params: { query: paged(filter, cursor) } })),
      get: (name) => must(api.GET("/api/v1/apps/{name}", { params: { path: { name } } })),
      create: (d) => must(api.POST("/api/v1/apps", { params: { header: once() }, body: d as Body })),
      replace: (name, v, d) =>
        must(api.PUT("/api/v1/apps/{name}", { params: { path: { name }, header: ifMatch(v) }, body: { ...d, label: d["label"] ?? "" } as Body })),
      remove: (name, v) => must(api.DELETE("/api/v1/apps/{name}", { params: { path: { name }, header: ifMatch(v) } })),
      more: (a) => <To href={to("/flows", { app: a.name })}>{t.nav.flows}</To>,
    }),
    [t, asked, builtIn],
  );
  return <Resource of={of} />;
}
