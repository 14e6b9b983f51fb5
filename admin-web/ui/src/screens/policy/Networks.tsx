// Data networks and the pools that UE addresses come from.

import { useMemo } from "react";
import { api, ifMatch, must, once, type Schemas } from "../../api/client";
import { To, When } from "../../frame/bits";
import { useT } from "../../i18n";
import { to } from "../../url/state";
import { paged } from "../paged";
import { Resource, type ResourceOf } from "../Resource";

type Network = Schemas["Kept_DataNetwork"];
type Body = Schemas["DataNetwork"];

export default function Networks() {
  const t = useT();
  const of = useMemo<ResourceOf<Network>>(
    () => ({
      name: "networks",
      title: t.nav.networks,
      needs: "policy",
      id: (n) => n.dnn,
      empty: t.lists.networks,
      columns: [
        { id: "dnn", head: t.fields.dnn, cell: (n) => n.dnn, by: (n) => n.dnn },
        { id: "pool", head: t.fields.pool, cell: (n) => n.pool, by: (n) => n.pool, width: 150 },
        { id: "pool6", head: t.fields.pool6, cell: (n) => n.pool6, by: (n) => n.pool6 ?? "", width: 180 },
        { id: "dns", head: t.fields.dns, cell: (n) => n.dns?.join(", "), by: (n) => n.dns?.join() ?? "", width: 150 },
        { id: "mtu", head: t.fields.mtu, cell: (n) => n.mtu, by: (n) => n.mtu ?? 0, width: 80 },
        { id: "changed", head: t.fields.changed, cell: (n) => <When at={n.changed} />, by: (n) => n.changed, width: 180 },
      ],
      fields: [
        { name: "dnn", label: t.fields.dnn, required: true, fixed: true },
        { name: "pool", label: t.fields.pool, required: true, help: t.lists.poolHelp },
        { name: "pool6", label: t.fields.pool6, help: t.lists.pool6Help },
        { name: "dns", label: t.fields.dns, kind: "words" },
        { name: "mtu", label: t.fields.mtu, kind: "number" },
      ],
      fresh: { dnn: "", pool: "", dns: [] },
      list: (filter, cursor) => must(api.GET("/api/v1/data-networks", { params: { query: paged(filter, cursor) } })),
      get: (dnn) => must(api.GET("/api/v1/data-networks/{dnn}", { params: { path: { dnn } } })),
      create: (d) => must(api.POST("/api/v1/data-networks", { params: { header: once() }, body: d as Body })),
      replace: (dnn, v, d) =>
        must(api.PUT("/api/v1/data-networks/{dnn}", { params: { path: { dnn }, header: ifMatch(v) }, body: d as Body })),
      remove: (dnn, v) => must(api.DELETE("/api/v1/data-networks/{dnn}", { params: { path: { dnn }, header: ifMatch(v) } })),
      more: (n) => <To href={to("/sessions", { dnn: n.dnn })}>{t.nav.sessions}</To>,
    }),
    [t],
  );
  return <Resource of={of} />;
}
