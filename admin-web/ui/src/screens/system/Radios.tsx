// The gateway, the radios and cells, and whom audit and alerts are sent to; each with what is known of it at the side.

import { Text, Table, Title, UnstyledButton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api, must, type Schemas } from "../../api/client";
import { Age } from "../../frame/Age";
import { Facts, Pill, Screen, Side, SimLink, To, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT } from "../../i18n";
import { useFormat } from "../../i18n/format";
import { to, useUrlValue } from "../../url/state";

type System = Schemas["System"];
type Session = Schemas["Session"];

/** Sessions that cells are counted from. */
const MOST = 1000;
/** SIMs that are shown of one radio or cell. */
const SHOWN = 50;

interface Cell {
  gnb: string;
  cell: string;
  tai: string;
  sessions: Session[];
}

function cellsOf(sessions: Session[]): Cell[] {
  const cells = new Map<string, Cell>();
  for (const x of sessions) {
    if (!x.cell) continue;
    const key = `${x.gnb}~${x.cell}`;
    const c = cells.get(key) ?? { gnb: x.gnb ?? "", cell: x.cell, tai: x.tai ?? "", sessions: [] };
    c.sessions.push(x);
    cells.set(key, c);
  }
  return [...cells.values()];
}

export default function Radios() {
  const t = useT();
  const q = useQuery({ queryKey: ["system"], queryFn: () => must(api.GET("/api/v1/system")), refetchInterval: 5_000 });
  const sessions = useQuery({
    queryKey: ["sessions", "cells"],
    queryFn: () => must(api.GET("/api/v1/sessions", { params: { query: { limit: MOST } } })),
    refetchInterval: 15_000,
  });
  const s = q.data;
  const cells = cellsOf(sessions.data?.items ?? []);
  return (
    <Screen title={t.nav.radios} aside={<Age at={q.dataUpdatedAt} again={() => void q.refetch()} />}>
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      {sessions.error && <Fault error={sessions.error} again={() => void sessions.refetch()} />}
      {s && (
        <>
          <Title order={2} size="h4">
            {t.radios.gateway}
          </Title>
          <Gateway system={s} />
          <Title order={2} size="h4">
            {t.radios.radios}
          </Title>
          <Rows heads={[t.fields.name, t.fields.ip, t.fields.tacs, t.overview.ues, t.fields.since]} empty={t.radios.none}>
            {s.gnbs.map((g) => (
              <Table.Tr key={g.name + g.address}>
                <Table.Td>
                  <Open id={`gnb:${g.name}`} text={g.name} />
                </Table.Td>
                <Table.Td>{g.address}</Table.Td>
                <Table.Td>{g.tacs.join(", ")}</Table.Td>
                <Table.Td>{g.ues}</Table.Td>
                <Table.Td>
                  <When at={g.since} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Rows>
          <Title order={2} size="h4">
            {t.radios.cells}
          </Title>
          <Rows heads={[t.fields.cell, t.fields.gnb, t.fields.tai, t.overview.sessions]} empty={t.radios.noCells}>
            {cells.map((c) => (
              <Table.Tr key={`${c.gnb}~${c.cell}`}>
                <Table.Td>
                  <Open id={`cell:${c.gnb}:${c.cell}`} text={c.cell} />
                </Table.Td>
                <Table.Td>{c.gnb}</Table.Td>
                <Table.Td>{c.tai}</Table.Td>
                <Table.Td>{c.sessions.length}</Table.Td>
              </Table.Tr>
            ))}
          </Rows>
          {sessions.data?.next && <Text size="sm">{t.radios.some}</Text>}
          <Title order={2} size="h4">
            {t.radios.deliveries}
          </Title>
          <Rows heads={[t.fields.name, t.fields.kind, t.fields.state, t.radios.lastOk]} empty={t.radios.noDeliveries}>
            {s.deliveries.map((d) => (
              <Table.Tr key={d.name}>
                <Table.Td>
                  <Open id={`peer:${d.name}`} text={d.name} />
                </Table.Td>
                <Table.Td>{d.kind}</Table.Td>
                <Table.Td>
                  <Pill value={d.up ? "up" : "down"} /> {d.error}
                </Table.Td>
                <Table.Td>
                  <When at={d.last_ok} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Rows>
          <Side title={t.nav.radios}>{(id) => <One id={id} system={s} cells={cells} />}</Side>
        </>
      )}
    </Screen>
  );
}

function Gateway({ system: s }: { system: System }) {
  const t = useT();
  const f = useFormat();
  const part = s.parts.find((p) => p.name === "gateway");
  return (
    <Facts
      facts={[
        [t.fields.state, part && <span key="g"><Pill value={part.up ? "up" : "down"} /> {part.detail}</span>],
        [t.radios.transport, s.transport],
        [t.radios.generation, `${s.enforced_generation ?? "–"} / ${s.policy_generation ?? "–"}`],
        [t.overview.sessions, <To key="s" href="/sessions">{f.number(s.sessions)}</To>],
        [t.overview.revoked, <To key="r" href="/revocations">{f.number(s.revoked)}</To>],
        [t.health.journal, s.journal_record == null ? undefined : f.number(s.journal_record)],
      ]}
    />
  );
}

/** Opens the panel at the side. */
function Open({ id, text }: { id: string; text: string }) {
  const [, open] = useUrlValue("open");
  return (
    <UnstyledButton className="opens" onClick={() => open(id)}>
      {text}
    </UnstyledButton>
  );
}

function Rows({ heads, empty, children }: { heads: string[]; empty: string; children: ReactNode[] }) {
  if (children.length === 0) return <Text size="sm">{empty}</Text>;
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label={heads.join(", ")}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            {heads.map((h) => (
              <Table.Th key={h}>{h}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>{children}</Table.Tbody>
      </Table>
    </div>
  );
}

/** A radio, a cell or a destination: `gnb:NAME`, `cell:GNB:CELL`, `peer:NAME`. */
function One({ id, system: s, cells }: { id: string; system: System; cells: Cell[] }) {
  const t = useT();
  const f = useFormat();
  const at = id.indexOf(":");
  const [kind, name] = [id.slice(0, at), id.slice(at + 1)];
  if (kind === "gnb") {
    const g = s.gnbs.find((x) => x.name === name);
    if (!g) return <>{t.radios.gone}</>;
    const here = cells.filter((c) => c.gnb === name);
    return (
      <>
        <Facts
          facts={[
            [t.fields.name, g.name],
            [t.fields.ip, g.address],
            [t.fields.since, <When key="s" at={g.since} />],
            [t.fields.tacs, g.tacs.join(", ")],
            [t.overview.ues, f.number(g.ues)],
            [t.fields.cells, here.map((c) => <div key={c.cell}><To href={to("/radios", { open: `cell:${name}:${c.cell}` })}>{c.cell}</To></div>)],
          ]}
        />
        <Users sessions={here.flatMap((c) => c.sessions)} />
      </>
    );
  }
  if (kind === "cell") {
    const c = cells.find((x) => `${x.gnb}:${x.cell}` === name);
    if (!c) return <>{t.radios.gone}</>;
    return (
      <>
        <Facts
          facts={[
            [t.fields.cell, c.cell],
            [t.fields.gnb, <To key="g" href={to("/radios", { open: `gnb:${c.gnb}` })}>{c.gnb}</To>],
            [t.fields.tai, c.tai],
            [t.overview.sessions, f.number(c.sessions.length)],
          ]}
        />
        <Users sessions={c.sessions} />
      </>
    );
  }
  const d = s.deliveries.find((x) => x.name === name);
  if (!d) return <>{t.radios.gone}</>;
  return (
    <Facts
      facts={[
        [t.fields.name, d.name],
        [t.fields.kind, d.kind],
        [t.fields.state, <span key="s"><Pill value={d.up ? "up" : "down"} /> {d.error}</span>],
        [t.radios.lastOk, <When key="o" at={d.last_ok} />],
        [t.radios.failing, <When key="f" at={d.failing_since} />],
        [t.radios.behind, d.behind == null ? undefined : f.number(d.behind)],
        [t.radios.items, f.number(d.items)],
        [t.radios.lost, f.number(d.lost)],
      ]}
    />
  );
}

function Users({ sessions }: { sessions: Session[] }) {
  const t = useT();
  return (
    <>
      <Title order={3} size="h5" mt="md">
        {t.nav.sessions}
      </Title>
      <ul className="news">
        {sessions.slice(0, SHOWN).map((x) => (
          <li key={x.id}>
            <SimLink imsi={x.imsi} /> {x.ip} ({x.dnn}) <Pill value={x.connected ? "up" : "stock"} text={x.connected ? t.sessions.connected : t.sessions.idle} />
          </li>
        ))}
      </ul>
      {sessions.length > SHOWN && <Text size="sm">{t.lost.andMore(sessions.length - SHOWN)}</Text>}
      {sessions.length === 0 && <Text size="sm">{t.sessions.empty}</Text>}
    </>
  );
}
