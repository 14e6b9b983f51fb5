// Is it well: the parts of the system.

import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api, must } from "../../api/client";
import { Age } from "../../frame/Age";
import { Facts, Pill, Screen, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT } from "../../i18n";

export default function Health() {
  const t = useT();
  const system = useQuery({ queryKey: ["system"], queryFn: () => must(api.GET("/api/v1/system")), refetchInterval: 5_000 });
  const s = system.data;
  return (
    <Screen title={t.nav.health} aside={<Age at={system.dataUpdatedAt} again={() => void system.refetch()} />}>
      {system.error && <Fault error={system.error} again={() => void system.refetch()} />}
      {s && (
        <Facts
          facts={[
            [t.fields.state, <Pill key="r" value={s.ready ? "ok" : "bad"} text={s.ready ? t.overview.ready : t.overview.notReady} />],
            [t.health.version, s.version],
            [t.health.started, <When key="s" at={s.started} />],
            [t.health.database, s.database],
            [t.health.journal, s.journal_record],
            ...s.parts.map((p): [string, ReactNode] => [p.name, <span key={p.name}><Pill value={p.up ? "up" : "down"} /> {p.detail}</span>]),
          ]}
        />
      )}
    </Screen>
  );
}
