// The company's own list of devices: white, grey (let in and told) and black (refused), one by one or by model.

import { useMemo } from "react";
import { api, ifMatch, must, type Schemas } from "../../api/client";
import { Pill, When } from "../../frame/bits";
import { useT } from "../../i18n";
import { paged } from "../paged";
import { Resource, type ResourceOf } from "../Resource";

type Entry = Schemas["Equipment"];

const COLOURS = ["white", "grey", "black"] as const;

export default function Equipment() {
  const t = useT();
  const of = useMemo<ResourceOf<Entry>>(() => {
    const colours = COLOURS.map((c) => ({ value: c, label: t.words[c] }));
    const put = (pattern: string, version: number, d: Record<string, unknown>) => {
      const body = { colour: String(d["colour"]), label: String(d["label"] ?? ""), reason: String(d["reason"] ?? "") };
      return must(api.PUT("/api/v1/equipment/{pattern}", { params: { path: { pattern }, header: ifMatch(version) }, body }));
    };
    return {
      name: "equipment",
      title: t.nav.equipment,
      needs: "equipment",
      id: (e) => e.pattern,
      empty: t.lists.equipment,
      filters: [
        { name: "q", label: t.fields.query, width: 240 },
        { name: "colour", label: t.fields.colour, choices: colours },
      ],
      columns: [
        { id: "pattern", head: t.fields.pattern, cell: (e) => e.pattern, by: (e) => e.pattern, width: 160 },
        { id: "colour", head: t.fields.colour, cell: (e) => <Pill value={e.colour} />, by: (e) => e.colour },
        { id: "label", head: t.fields.label, cell: (e) => e.label, by: (e) => e.label, width: 180 },
        { id: "reason", head: t.fields.reason, cell: (e) => e.reason, by: (e) => e.reason, width: 220 },
        { id: "changed", head: t.fields.changed, cell: (e) => <When at={e.changed} />, by: (e) => e.changed, width: 180 },
      ],
      fields: [
        { name: "pattern", label: t.fields.pattern, required: true, fixed: true, help: t.lists.patternHelp },
        { name: "colour", label: t.fields.colour, kind: "choice", choices: colours, help: t.lists.colourHelp },
        { name: "label", label: t.fields.label },
        { name: "reason", label: t.fields.reason, required: true },
      ],
      fresh: { pattern: "", colour: "black", label: "", reason: "" },
      list: (filter, cursor) => must(api.GET("/api/v1/equipment", { params: { query: paged(filter, cursor) } })),
      get: (pattern) => must(api.GET("/api/v1/equipment/{pattern}", { params: { path: { pattern } } })),
      create: (d) => put(String(d["pattern"] ?? "").trim() || "-", 0, d),
      replace: put,
      remove: (pattern, v) => must(api.DELETE("/api/v1/equipment/{pattern}", { params: { path: { pattern }, header: ifMatch(v) } })),
    };
  }, [t]);
  return <Resource of={of} />;
}
