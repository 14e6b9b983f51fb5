// The gateway, the radios that are connected, the cells in use, and whom audit and alerts are sent to.

import { Table, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api, must } from "../../api/client";
import { Age } from "../../frame/Age";
import { Facts, Pill, Screen, To, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT } from "../../i18n";

export default function Radios() {
  const t = useT();
  const q = useQuery({ queryKey: ["system"], queryFn: () => must(api.GET("/api/v1/system")), refetchInterval: 5_000 });
  const sessions = useQuery({
    queryKey: ["sessions", "cells"],
    queryFn: () => must(api.GET("/api/v1/sessions", { params: { query: { limit: 1000 } } })),
    refetchInterval: 15_000,
  });
  const s = q.data;
  const cells = new Map<string, { gnb: string; cell: string; tai: string; sessions: number }>();
  for (const x of sessions.data?.items ?? []) {
    if (!x.cell) continue;
    const key = `${x.gnb}~${x.cell}`;
    const c = cells.get(key) ?? { gnb: x.gnb ?? "", cell: x.cell, tai: x.tai ?? "", sessions: 0 };
    cells.set(key, { ...c, sessions: c.sessions + 1 });
  }
  return (
    <Screen title={t.nav.radios} aside={<Age at={q.dataUpdatedAt} again={() => void q.refetch()} />}>
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      {s && (
        <>
          <Facts
            facts={[
              [t.radios.transport, s.transport],
              [t.radios.generation, `${s.enforced_generation ?? "–"} / ${s.policy_generation ?? "–"}`],
              [t.overview.ues, s.ues],
              [t.overview.sessions, <To key="s" href="/sessions">{s.sessions}</To>],
              ...s.parts
                .filter((p) => p.name === "gateway")
                .map((p): [string, ReactNode] => [t.radios.gateway, <><Pill value={p.up ? "up" : "down"} /> {p.detail}</>]),
            ]}
          />
          <Title order={2} size="h4">{t.radios.radios}</Title>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t.fields.name}</Table.Th>
                <Table.Th>{t.fields.ip}</Table.Th>
                <Table.Th>{t.fields.tacs}</Table.Th>
                <Table.Th>{t.overview.ues}</Table.Th>
                <Table.Th>{t.fields.since}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {s.gnbs.map((g) => (
                <Table.Tr key={g.name}>
                  <Table.Td>{g.name}</Table.Td>
                  <Table.Td>{g.address}</Table.Td>
                  <Table.Td>{g.tacs.join(", ")}</Table.Td>
                  <Table.Td>{g.ues}</Table.Td>
                  <Table.Td><When at={g.since} /></Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
          {s.gnbs.length === 0 && <p>{t.radios.none}</p>}
          <Title order={2} size="h4">{t.radios.cells}</Title>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t.fields.gnb}</Table.Th>
                <Table.Th>{t.fields.cell}</Table.Th>
                <Table.Th>{t.fields.tai}</Table.Th>
                <Table.Th>{t.overview.sessions}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {[...cells.values()].map((c) => (
                <Table.Tr key={`${c.gnb}~${c.cell}`}>
                  <Table.Td>{c.gnb}</Table.Td>
                  <Table.Td>{c.cell}</Table.Td>
                  <Table.Td>{c.tai}</Table.Td>
                  <Table.Td>{c.sessions}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
          {sessions.data?.next && <p>{t.radios.some}</p>}
          <Title order={2} size="h4">{t.radios.deliveries}</Title>
          {s.deliveries.length === 0 && <p>{t.radios.noDeliveries}</p>}
          {s.deliveries.map((d) => (
            <p key={d.name}>
              <Pill value={d.up ? "up" : "down"} /> {d.name} ({d.kind}) {d.error}
            </p>
          ))}
        </>
      )}
    </Screen>
  );
}
