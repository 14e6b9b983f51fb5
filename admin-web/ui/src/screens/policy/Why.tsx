// Why may a SIM reach something, or why not: the verdict that is in force, and every rule that was looked at.

import { Button, Group, NativeSelect, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent, type ReactNode } from "react";
import { api, must } from "../../api/client";
import { problemOf } from "../../api/problem";
import { Facts, Pill, Screen, To, When } from "../../frame/bits";
import { fromLocal, toLocal } from "../../form/time";
import { Fault } from "../../frame/Fault";
import { useT, word } from "../../i18n";
import { to, useUrlValues, type Values } from "../../url/state";
import { Conditions, NearestRule, RiskParts } from "./Story";
import { mark, rates } from "./terms";

const NAMES = ["imsi", "direction", "app", "address", "service", "at"] as const;

/** States in which a SIM is let in nowhere, whatever the rules say. */
const IDLE = new Set(["stock", "suspended", "retired"]);

export default function Why() {
  const t = useT();
  const [asked, ask] = useUrlValues(NAMES);
  const [draft, setDraft] = useState<Values>(asked);
  const complete = Boolean(asked["imsi"] && asked["service"] && (asked["app"] || asked["address"]));
  const q = useQuery({
    queryKey: ["rules", "why", asked],
    enabled: complete,
    queryFn: () =>
      must(
        api.GET("/api/v1/decisions", {
          params: {
            query: {
              imsi: asked["imsi"] ?? "",
              service: asked["service"] ?? "",
              direction: asked["direction"] === "in" ? "in" : "out",
              ...(asked["at"] ? { at: asked["at"] } : {}),
              ...(asked["app"] ? { app: asked["app"] } : { address: asked["address"] ?? "" }),
            },
          },
        }),
      ),
  });
  const faults = problemOf(q.error).faults;
  const fault = (name: string) => faults.find((f) => f.field === name)?.text;
  const field = (name: (typeof NAMES)[number], label: string, width: number, required = false) => (
    <TextInput
      label={label}
      w={width}
      required={required}
      value={draft[name] ?? ""}
      error={fault(name)}
      onChange={(e) => setDraft({ ...draft, [name]: e.currentTarget.value })}
    />
  );
  const send = (e: FormEvent) => {
    e.preventDefault();
    ask(draft);
  };
  const a = q.data;
  return (
    <Screen title={t.nav.why}>
      <form onSubmit={send}>
        <Group align="flex-start" gap="sm">
          {field("imsi", t.fields.imsi, 180, true)}
          <NativeSelect
            label={t.fields.direction}
            w={150}
            data={[
              { value: "", label: t.words.out },
              { value: "in", label: t.words.in },
            ]}
            value={draft["direction"] ?? ""}
            onChange={(e) => setDraft({ ...draft, direction: e.currentTarget.value })}
          />
          {field("app", t.fields.app, 150)}
          {field("address", t.why.orAddress, 170)}
          {field("service", t.why.service, 150, true)}
          <TextInput
            type="datetime-local"
            step={1}
            label={t.why.at}
            w={210}
            value={toLocal(draft["at"] ?? "")}
            error={fault("at")}
            onChange={(e) => setDraft({ ...draft, at: fromLocal(e.currentTarget.value) ?? "" })}
          />
          <Button type="submit" mt={25} loading={q.isFetching}>
            {t.nav.why}
          </Button>
        </Group>
      </form>
      {!complete && <Text size="sm">{t.why.help}</Text>}
      {q.error && <Fault error={q.error} />}
      {a && complete && (
        <Stack gap="md">
          <Title order={2} size="h4">
            <Pill value={a.verdict} /> {word(t.reasons, a.reason)}
          </Title>
          {a.verdict === "inspect" && <Text size="sm">{(a.names_from === "dns" ? t.why.lookups : t.why.inspect)(a.names.join(", "))}</Text>}
          {a.looked_up?.length === 0 && <Text role="note">{t.why.noLookup}</Text>}
          {a.at && (
            <Text size="sm">
              {t.why.moment} <When at={a.at} />. {Date.parse(a.at) > Date.now() ? t.why.toCome : t.why.past}
            </Text>
          )}
          {a.at && Date.parse(a.at) < Date.now() && a.considered.some((c) => c.conditions.length > 0) && (
            <Text size="sm">{t.conditions.pastFacts}</Text>
          )}
          {a.would && <Text role="note">{t.conditions.would(a.would)}</Text>}
          {a.sim_state && IDLE.has(a.sim_state) && <Text role="note">{t.why.idle(word(t.words, a.sim_state))}</Text>}
          <Facts
            facts={[
              [t.fields.state, a.sim_state && <Pill key="s" value={a.sim_state} />],
              [t.fields.rule, a.rule && <To href={to("/rules", { open: a.rule })}>{a.rule}</To>],
              [t.fields.app, [a.app, a.prefix].filter(Boolean).join(" · ")],
              [t.fields.groups, a.groups.join(", ")],
              [t.fields.serverNames, a.names.join(", ")],
              ...(a.looked_up ?? []).map(
                (l) =>
                  [
                    t.why.lookedUp(l.name),
                    <span key={`${l.name} ${l.address}`}>
                      {l.address} ({t.why.says(l.resolver)}, <When at={l.since} />)
                    </span>,
                  ] satisfies [string, ReactNode],
              ),
              [t.fields.rates, rates(a.rate_ul_bps, a.rate_dl_bps)],
              [t.fields.record, a.record],
              [t.fields.mark, mark(a)],
              [t.why.generation, a.generation],
              ...(a.grant ? [[t.conditions.byGrant, <To key="g" href={to("/grants", { open: a.grant })}>{a.grant}</To>] satisfies [string, ReactNode]] : []),
            ]}
          />
          {a.risk && <RiskParts risk={a.risk} />}
          {a.nearest && <NearestRule nearest={a.nearest} />}
          {a.considered.length === 0 && <Text size="sm">{t.why.noRule}</Text>}
          <Table captionSide="top" hidden={a.considered.length === 0}>
            <Table.Caption>{t.why.chain}</Table.Caption>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t.fields.rule}</Table.Th>
                <Table.Th>{t.fields.verdict}</Table.Th>
                <Table.Th>{t.why.outcome}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {a.considered.map((c) => (
                <Table.Tr key={c.rule}>
                  <Table.Td>
                    <To href={to("/rules", { open: c.rule })}>{c.rule}</To>
                  </Table.Td>
                  <Table.Td>
                    <Pill value={c.verdict} />
                  </Table.Td>
                  <Table.Td>
                    {word(t.outcomes, c.outcome)}
                    <Conditions all={c.conditions} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Stack>
      )}
    </Screen>
  );
}
