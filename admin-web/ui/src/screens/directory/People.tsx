// People who use SIMs.

import { useMemo } from "react";
import { api, ifMatch, must, once, type Schemas } from "../../api/client";
import { To, When } from "../../frame/bits";
import { useT } from "../../i18n";
import { to } from "../../url/state";
import { paged } from "../paged";
import { TheirSims } from "../known/TheirSims";
import { Resource, type ResourceOf } from "../Resource";

type Person = Schemas["Kept_Person"];
type Body = Schemas["Person"];

export default function People() {
  const t = useT();
  const of = useMemo<ResourceOf<Person>>(
    () => ({
      name: "people",
      title: t.nav.people,
      needs: "directory",
      id: (p) => p.id,
      empty: t.lists.people,
      filters: [{ name: "q", label: t.fields.query, width: 240 }],
      columns: [
        { id: "id", head: t.fields.id, cell: (p) => p.id, by: (p) => p.id },
        { id: "name", head: t.fields.name, cell: (p) => p.name, by: (p) => p.name, width: 160 },
        { id: "employee", head: t.fields.employee, cell: (p) => p.employee, by: (p) => p.employee ?? "" },
        { id: "mail", head: t.fields.mail, cell: (p) => p.mail, by: (p) => p.mail ?? "", width: 180 },
        { id: "ends", head: t.fields.endsAt, cell: (p) => <When at={p.ends_at} />, by: (p) => p.ends_at ?? "", width: 180 },
        { id: "changed", head: t.fields.changed, cell: (p) => <When at={p.changed} />, by: (p) => p.changed, width: 180 },
      ],
      fields: [
        { name: "id", label: t.fields.id, required: true, fixed: true, help: t.lists.idHelp },
        { name: "name", label: t.fields.name, required: true },
        { name: "employee", label: t.fields.employee },
        { name: "mail", label: t.fields.mail },
        { name: "external", label: t.fields.external },
        { name: "ends_at", label: t.fields.endsAt, kind: "time" },
      ],
      fresh: { id: "", name: "" },
      list: (filter, cursor) => must(api.GET("/api/v1/people", { params: { query: paged(filter, cursor) } })),
      get: (id) => must(api.GET("/api/v1/people/{id}", { params: { path: { id } } })),
      create: (d) => must(api.POST("/api/v1/people", { params: { header: once() }, body: d as Body })),
      replace: (id, v, d) =>
        must(api.PUT("/api/v1/people/{id}", { params: { path: { id }, header: ifMatch(v) }, body: d as Body })),
      remove: (id, v) => must(api.DELETE("/api/v1/people/{id}", { params: { path: { id }, header: ifMatch(v) } })),
      more: (p) => (
        <>
          <TheirSims person={p.id} />
          <To href={to("/sims", { person: p.id })}>{t.lists.itsSims}</To>
        </>
      ),
    }),
    [t],
  );
  return <Resource of={of} />;
}
