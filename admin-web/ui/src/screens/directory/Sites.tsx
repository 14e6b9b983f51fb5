// Sites with their radios.

import { useMemo } from "react";
import { api, ifMatch, must, once, type Schemas } from "../../api/client";
import { To, When } from "../../frame/bits";
import { useT } from "../../i18n";
import { to } from "../../url/state";
import { paged } from "../paged";
import { Resource, type ResourceOf } from "../Resource";

type Site = Schemas["Kept_Site"];
type Body = Schemas["Site"];

export default function Sites() {
  const t = useT();
  const of = useMemo<ResourceOf<Site>>(() => {
    // Tracking areas are numbers in the API and words in the form.
    const body = (d: Record<string, unknown>) =>
      ({ ...d, tacs: Array.isArray(d["tacs"]) ? d["tacs"].map(Number) : [], description: d["description"] ?? "" }) as Body;
    return {
      name: "sites",
      title: t.nav.sites,
      needs: "directory",
      id: (s) => s.id,
      empty: t.lists.sites,
      filters: [{ name: "q", label: t.fields.query, width: 240 }],
      columns: [
        { id: "id", head: t.fields.id, cell: (s) => s.id, by: (s) => s.id },
        { id: "name", head: t.fields.name, cell: (s) => s.name, by: (s) => s.name, width: 160 },
        { id: "tacs", head: t.fields.tacs, cell: (s) => s.tacs?.join(", "), by: (s) => s.tacs?.join() ?? "" },
        { id: "cells", head: t.fields.cells, cell: (s) => s.cells?.join(", "), by: (s) => s.cells?.join() ?? "", width: 150 },
        { id: "zone", head: t.fields.timeZone, cell: (s) => s.time_zone, by: (s) => s.time_zone ?? "", width: 130 },
        { id: "description", head: t.fields.description, cell: (s) => s.description, width: 180 },
        { id: "changed", head: t.fields.changed, cell: (s) => <When at={s.changed} />, by: (s) => s.changed, width: 180 },
      ],
      fields: [
        { name: "id", label: t.fields.id, required: true, fixed: true, help: t.lists.idHelp },
        { name: "name", label: t.fields.name, required: true },
        { name: "tacs", label: t.fields.tacs, kind: "words" },
        { name: "cells", label: t.fields.cells, kind: "words", help: t.lists.cellsHelp },
        { name: "time_zone", label: t.fields.timeZone, help: t.lists.zoneHelp },
        { name: "description", label: t.fields.description, kind: "long" },
      ],
      fresh: { id: "", name: "", tacs: [], cells: [] },
      list: (filter, cursor) => must(api.GET("/api/v1/sites", { params: { query: paged(filter, cursor) } })),
      get: (id) => must(api.GET("/api/v1/sites/{id}", { params: { path: { id } } })),
      create: (d) => must(api.POST("/api/v1/sites", { params: { header: once() }, body: body(d) })),
      replace: (id, v, d) => must(api.PUT("/api/v1/sites/{id}", { params: { path: { id }, header: ifMatch(v) }, body: body(d) })),
      remove: (id, v) => must(api.DELETE("/api/v1/sites/{id}", { params: { path: { id }, header: ifMatch(v) } })),
      more: (s) => <To href={to("/sims", { site: s.id })}>{t.lists.itsSims}</To>,
    };
  }, [t]);
  return <Resource of={of} />;
}
