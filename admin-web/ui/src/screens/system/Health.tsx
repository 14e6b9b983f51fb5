// Is it well: the parts of the system, and what `sekisho doctor` finds, each fault with the command that mends it.

import { Code, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api, must } from "../../api/client";
import { Age } from "../../frame/Age";
import { Facts, Pill, Screen, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useLanguage, word } from "../../i18n";

const ORDER = ["bad", "note", "good"];

export default function Health() {
  const { messages: t, language } = useLanguage();
  const system = useQuery({ queryKey: ["system"], queryFn: () => must(api.GET("/api/v1/system")), refetchInterval: 5_000 });
  const findings = useQuery({
    queryKey: ["findings", language],
    queryFn: () => must(api.GET("/api/v1/system/findings")),
    refetchInterval: 60_000,
  });
  const s = system.data;
  const items = [...(findings.data?.items ?? [])].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
  const count = (state: string) => items.filter((f) => f.state === state).length;
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
      <Title order={2} size="h4">
        {t.health.findings}
      </Title>
      {findings.error && <Fault error={findings.error} again={() => void findings.refetch()} />}
      {findings.data && (
        <Text role="status" component="div">
          {t.health.counts(count("bad"), count("note"), count("good"))} <Age at={findings.dataUpdatedAt} again={() => void findings.refetch()} />
        </Text>
      )}
      <ul className="news">
        {items.map((f) => (
          <li key={f.code}>
            <Stack gap={4}>
              <span>
                <Pill value={f.state} text={word(t.health.states, f.state)} /> <strong>{f.what}</strong> {f.seen}
              </span>
              {f.fix && <Text size="sm">{f.fix}</Text>}
              {f.command && (
                <Code block tabIndex={0}>
                  {f.command}
                </Code>
              )}
            </Stack>
          </li>
        ))}
      </ul>
    </Screen>
  );
}
