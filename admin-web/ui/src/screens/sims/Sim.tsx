// One SIM: what it is, where it is, what applies to it, and what happened to it. No key is ever shown: none is known.

import { Group, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "wouter";
import { api, must, type Schemas } from "../../api/client";
import { Age } from "../../frame/Age";
import { Facts, Pill, Screen, To, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT, word } from "../../i18n";
import { useFormat } from "../../i18n/format";
import { to } from "../../url/state";
import { Known } from "../known/Known";
import { AppliedRules } from "./AppliedRules";
import { History } from "./History";
import { Planned } from "./Planned";
import { Routes } from "./Routes";
import { Addresses, DevicesSeen } from "./Seen";
import { SimActions } from "./SimActions";
import { SimGrants } from "./SimGrants";
import { Timeline } from "./Timeline";

export default function Sim() {
  const { imsi = "" } = useParams<{ imsi: string }>();
  const sim = useQuery({
    queryKey: ["sims", "one", imsi],
    queryFn: () => must(api.GET("/api/v1/sims/{imsi}", { params: { path: { imsi } } })),
    refetchInterval: 10_000,
  });
  const s = sim.data;
  const aside = s && (
    <>
      <Pill value={s.state} />
      <Text>{s.label}</Text>
      <Age at={sim.dataUpdatedAt} again={() => void sim.refetch()} />
    </>
  );
  return (
    <Screen title={imsi} aside={aside}>
      {sim.error && <Fault error={sim.error} again={() => void sim.refetch()} />}
      {s && (
        <>
          <SimActions sim={s} />
          <div className="columns">
            <div>
              <Identity sim={s} />
              <Known sim={s} />
              <Sessions imsi={imsi} />
              <Addresses imsi={imsi} />
              <Routes sim={s} />
              <Binding imsi={imsi} />
              <DevicesSeen imsi={imsi} />
              <Planned sim={s} />
            </div>
            <div>
              <AppliedRules imsi={imsi} />
              <SimGrants sim={s} />
              <Timeline imsi={imsi} />
              <History imsi={imsi} />
            </div>
          </div>
        </>
      )}
    </Screen>
  );
}

function Identity({ sim: s }: { sim: Schemas["Sim"] }) {
  const t = useT();
  const rate = (bps: number) => `${bps / 1_000_000} Mbit/s`;
  return (
    <section>
      <Title order={2} size="h4" mb="xs">
        {t.sim.identity}
      </Title>
      <Facts
        facts={[
          [t.fields.imsi, s.imsi],
          [t.fields.iccid, s.iccid],
          [t.fields.person, s.person && <To href={to("/people", { open: s.person })}>{s.person}</To>],
          [t.fields.device, s.device_id && <To href={to("/devices", { open: s.device_id })}>{s.device_id}</To>],
          [t.fields.site, s.site && <To href={to("/sites", { open: s.site })}>{s.site}</To>],
          [t.fields.groups, s.groups.map((g) => <span key={g}><To href={to("/groups", { open: g })}>{g}</To> </span>)],
          [t.fields.dnns, s.dnns.join(", ")],
          [t.fields.staticIps, Object.entries(s.static_ips).map(([dnn, ip]) => `${dnn}: ${ip}`).join(", ")],
          [t.fields.slices, s.slices.join(", ")],
          [t.fields.ambr, `${rate(s.ambr_ul_bps)} / ${rate(s.ambr_dl_bps)}`],
          [t.fields.key, s.has_key ? `${t.sims.hasKey} (${s.algorithm})` : t.sims.noKey],
          [t.fields.created, <When key="c" at={s.created} />],
          [t.fields.changed, <When key="w" at={s.changed} />],
          [t.fields.lastSign, <When key="l" at={s.last_seen} />],
        ]}
      />
    </section>
  );
}

function Sessions({ imsi }: { imsi: string }) {
  const t = useT();
  const f = useFormat();
  const q = useQuery({
    queryKey: ["sessions", "sim", imsi],
    queryFn: () => must(api.GET("/api/v1/sessions", { params: { query: { imsi } } })),
    refetchInterval: 5_000,
  });
  return (
    <section>
      <Title order={2} size="h4" mt="lg" mb="xs">
        {t.sim.sessions}
      </Title>
      {q.error && <Fault error={q.error} />}
      {q.data?.items.map((s) => (
        <Facts
          key={s.id}
          facts={[
            [t.fields.ip, `${s.ip} (${s.dnn})`],
            [t.fields.gnb, [s.gnb, s.cell, s.tai].filter(Boolean).join(" · ")],
            ...(s.smf ? [[t.fields.smf, s.smf] as [string, string]] : []),
            [t.fields.connected, s.connected ? t.frame.yes : t.frame.no],
            [t.fields.since, f.time(s.since)],
          ]}
        />
      ))}
      {q.data?.items.length === 0 && <Text size="sm">{t.sim.noSessions}</Text>}
      <Group gap="md" mt="xs">
        <To href={to("/flows", { imsi })}>{t.sim.flows}</To>
        <To href={to("/path", { imsi })}>{t.nav.path}</To>
        <To href={to("/why", { imsi })}>{t.sim.why}</To>
      </Group>
    </section>
  );
}

function Binding({ imsi }: { imsi: string }) {
  const t = useT();
  const q = useQuery({
    queryKey: ["sims", "binding", imsi],
    queryFn: () => must(api.GET("/api/v1/sims/{imsi}/binding", { params: { path: { imsi } } })),
  });
  if (!q.data) return null;
  const { binding, learned, learned_at } = q.data;
  return (
    <section>
      <Title order={2} size="h4" mt="lg" mb="xs">
        {t.sim.binding}
      </Title>
      <Facts
        facts={[
          [t.sim.bindingHow, word(t.bindings, binding.mode)],
          [t.fields.boundDevice, binding.allowed?.join(", ")],
          [t.sim.learned, learned && <span key="l">{learned} <When at={learned_at} /></span>],
        ]}
      />
    </section>
  );
}
