// Devices that SIMs are in.

import { useMemo } from "react";
import { api, ifMatch, must, once, type Schemas } from "../../api/client";
import { To, When } from "../../frame/bits";
import { useT, word } from "../../i18n";
import { to } from "../../url/state";
import { paged } from "../paged";
import { DeviceHealth } from "../known/DeviceHealth";
import { TheirSims } from "../known/TheirSims";
import { Resource, type ResourceOf } from "../Resource";

type Device = Schemas["Kept_Device"];
type Body = Schemas["Device"];

const KINDS = ["laptop", "phone", "tablet", "router", "plc", "camera", "sensor", "vehicle", "other"] as const;

export default function Devices() {
  const t = useT();
  const of = useMemo<ResourceOf<Device>>(
    () => ({
      name: "devices",
      title: t.nav.devices,
      needs: "directory",
      id: (d) => d.id,
      empty: t.lists.devices,
      filters: [{ name: "q", label: t.fields.query, width: 240 }],
      columns: [
        { id: "id", head: t.fields.id, cell: (d) => d.id, by: (d) => d.id },
        { id: "kind", head: t.fields.kind, cell: (d) => word(t.words, d.kind), by: (d) => d.kind },
        { id: "label", head: t.fields.label, cell: (d) => d.label, by: (d) => d.label ?? "", width: 150 },
        { id: "imei", head: t.fields.imei, cell: (d) => d.imei, by: (d) => d.imei ?? "", width: 150 },
        { id: "serial", head: t.fields.serial, cell: (d) => d.serial, by: (d) => d.serial ?? "" },
        {
          id: "owner",
          head: t.fields.owner,
          cell: (d) => d.owner && <To href={to("/people", { open: d.owner })}>{d.owner}</To>,
          by: (d) => d.owner ?? "",
        },
        { id: "changed", head: t.fields.changed, cell: (d) => <When at={d.changed} />, by: (d) => d.changed, width: 180 },
      ],
      fields: [
        { name: "id", label: t.fields.id, required: true, fixed: true, help: t.lists.idHelp },
        { name: "kind", label: t.fields.kind, kind: "choice", choices: KINDS.map((k) => ({ value: k, label: t.words[k] })) },
        { name: "label", label: t.fields.label },
        { name: "imei", label: t.fields.imei },
        { name: "serial", label: t.fields.serial },
        { name: "owner", label: t.fields.owner, help: t.lists.ownerHelp },
      ],
      fresh: { id: "", kind: "laptop" },
      list: (filter, cursor) => must(api.GET("/api/v1/devices", { params: { query: paged(filter, cursor) } })),
      get: (id) => must(api.GET("/api/v1/devices/{id}", { params: { path: { id } } })),
      create: (d) => must(api.POST("/api/v1/devices", { params: { header: once() }, body: d as Body })),
      replace: (id, v, d) =>
        must(api.PUT("/api/v1/devices/{id}", { params: { path: { id }, header: ifMatch(v) }, body: d as Body })),
      remove: (id, v) => must(api.DELETE("/api/v1/devices/{id}", { params: { path: { id }, header: ifMatch(v) } })),
      more: (d) => (
        <>
          <DeviceHealth device={d.id} />
          <TheirSims device={d.id} />
          <To href={to("/sims", { device: d.id })}>{t.lists.itsSims}</To>
        </>
      ),
    }),
    [t],
  );
  return <Resource of={of} />;
}
