// Recorded flows against the draft: what it would newly deny and newly allow, by app, person and SIM. The log is read a
// stretch at a time, so what was found so far is shown while it goes on.

import { Button, Group, NativeSelect, Progress, SegmentedControl, Stack, Table, Text, Title } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { api, must } from "../../api/client";
import { SimLink, Pill, To, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT } from "../../i18n";
import { useFormat } from "../../i18n/format";
import { to } from "../../url/state";
import { serviceName } from "../traffic/service";
import { Bars } from "./Bars";
import { added, by, most, nothing, type By, type Total } from "./replay";
import { Tiles, type Tile } from "./Tiles";

const SPANS = { "1h": 3_600_000, "24h": 86_400_000, "7d": 7 * 86_400_000 } as const;
type Span = keyof typeof SPANS;
/** Bars and lines that are shown. */
const BARS = 12;
const LINES = 50;

interface State {
  total: Total;
  running: boolean;
  error?: unknown;
}

/** Reads the log from its first stretch to its last; `stop` ends it after the one that is under way. */
function useReplay(text: string) {
  const [state, setState] = useState<State>();
  const turn = useRef(0);
  const stop = () => {
    turn.current += 1;
    setState((s) => s && { ...s, running: false });
  };
  useEffect(() => () => void (turn.current += 1), []);
  const run = async (span: Span) => {
    const mine = ++turn.current;
    const [from, end] = [new Date(Date.now() - SPANS[span]).toISOString(), new Date().toISOString()];
    let total = nothing();
    let cursor: string | null = null;
    setState({ total, running: true });
    try {
      do {
        const body = { text, from, to: end, cursor };
        const stretch: Awaited<ReturnType<typeof ask>> = await ask(body);
        if (turn.current !== mine) return;
        total = added(total, stretch);
        cursor = stretch.next ?? null;
        setState({ total, running: cursor !== null });
      } while (cursor !== null);
    } catch (error) {
      if (turn.current === mine) setState({ total, running: false, error });
    }
  };
  return { state, run, stop };
}

const ask = (body: { text: string; from: string; to: string; cursor: string | null }) => must(api.POST("/api/v1/policies/replay", { body }));

export function Replay({ text }: { text: string }) {
  const t = useT();
  const [span, setSpan] = useState<Span>("24h");
  const { state, run, stop } = useReplay(text);
  const spans = (Object.keys(SPANS) as Span[]).map((s) => ({ value: s, label: t.policy.spans[s] }));
  return (
    <section aria-label={t.policy.replayTitle}>
      <Title order={2} size="h4">
        {t.policy.replayTitle}
      </Title>
      <Group gap="xs" align="flex-end" my="xs">
        <NativeSelect size="xs" label={t.policy.last} data={spans} value={span} onChange={(e) => setSpan(e.currentTarget.value as Span)} />
        {state?.running ? (
          <Button size="xs" variant="default" onClick={stop}>
            {t.policy.stop}
          </Button>
        ) : (
          <Button size="xs" variant="default" onClick={() => void run(span)}>
            {t.policy.replay}
          </Button>
        )}
      </Group>
      {state?.running && <Progress value={100 * state.total.done} aria-label={t.policy.reading} />}
      {state?.error !== undefined && <Fault error={state.error} />}
      {state && <Result total={state.total} running={state.running} />}
    </section>
  );
}

function Result({ total, running }: { total: Total; running: boolean }) {
  const t = useT();
  const f = useFormat();
  const [what, setWhat] = useState<By>("app");
  const changed = total.denied + total.allowed > 0;
  const tiles: Tile[] = [
    { n: total.denied, name: t.policy.newlyDenied, tone: "bad" },
    { n: total.allowed, name: t.policy.newlyAllowed, tone: "good" },
    { n: total.records, name: t.policy.looked },
    { n: total.unsure, name: t.policy.unsure },
    { n: total.notByRules, name: t.policy.notByRules },
  ];
  const named = (name: string | undefined) => {
    if (what === "imsi") return name && <SimLink imsi={name} />;
    if (!name) return what === "person" ? t.policy.nobody : t.policy.noApp;
    return <To href={to(what === "person" ? "/people" : "/apps", { open: name })}>{name}</To>;
  };
  return (
    <Stack gap="xs">
      <Tiles tiles={tiles} />
      {!running && !changed && <Text size="sm">{total.records > 0 ? t.policy.same : t.policy.noFlows}</Text>}
      {changed && (
        <>
          <SegmentedControl
            size="xs"
            aria-label={t.policy.by}
            value={what}
            onChange={(v) => setWhat(v as By)}
            data={[
              { value: "app", label: t.policy.byApp },
              { value: "person", label: t.policy.byPerson },
              { value: "imsi", label: t.policy.bySim },
            ]}
            w="max-content"
          />
          <Bars label={t.policy.replayTitle} bars={by(total, what).slice(0, BARS)} name={named} />
          <Kinds total={total} />
        </>
      )}
      {total.untold > 0 && <Text size="sm">{t.policy.untold(f.number(total.untold))}</Text>}
    </Stack>
  );
}

function Kinds({ total }: { total: Total }) {
  const t = useT();
  const f = useFormat();
  return (
    <div className="results" tabIndex={0} role="region" aria-label={t.policy.flows}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            {[t.fields.verdict, t.policy.flows, t.fields.imsi, t.fields.person, t.fields.app, t.fields.peer, t.fields.start, t.policy.was, t.policy.would].map((h) => (
              <Table.Th key={h}>{h}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {most(total, LINES).map((k) => (
            <Table.Tr key={JSON.stringify([k.allowed, k.imsi, k.app, k.direction, k.protocol, k.port])}>
              <Table.Td>
                <Pill value={k.allowed ? "allow" : "deny"} text={k.allowed ? t.policy.newlyAllowed : t.policy.newlyDenied} />
              </Table.Td>
              <Table.Td>{f.number(k.flows)}</Table.Td>
              <Table.Td>
                <SimLink imsi={k.imsi} />
              </Table.Td>
              <Table.Td>{k.person}</Table.Td>
              <Table.Td>{k.app}</Table.Td>
              <Table.Td>
                {k.peer} {serviceName(k.protocol, k.port)}
              </Table.Td>
              <Table.Td>
                <When at={k.first} />
              </Table.Td>
              <Table.Td>{k.was_rule ?? "–"}</Table.Td>
              <Table.Td>{k.rule ?? "–"}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}
