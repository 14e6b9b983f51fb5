// What the cut of a scope would end, then the cut. The confirm is one press: the reason is filled in and can be changed.

import { Button, Group, SegmentedControl, Stack, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api, must, newKey, once, type Schemas } from "../../api/client";
import type { Match } from "../../api/find";
import { useAct } from "../../frame/act";
import { Pill, SimLink } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { useT } from "../../i18n";
import { Receipts } from "./Receipts";

interface Props {
  scope: Match["scope"];
  value: string;
  words: string;
  back: () => void;
}

export function Cut({ scope, value, words, back }: Props) {
  const t = useT();
  const may = useMay();
  // One key for this screen: a second press, or a lost answer, cuts once.
  const key = useMemo(newKey, []);
  const [state, setState] = useState<"lost" | "stolen">("lost");
  const [reason, setReason] = useState("");
  const [ticket, setTicket] = useState("");
  const [done, setDone] = useState<Schemas["ScopeBanned"]>();
  const body = { scope, value, state, reason: reason.trim() || t.lost.reason(words || value), ticket: ticket.trim() };
  const would = useQuery({
    queryKey: ["revocations", "dry-run", scope, value],
    enabled: done === undefined && may("ban"),
    refetchInterval: done ? false : 15_000,
    queryFn: async () => {
      const dry = { ...body, reason: "dry run", dry_run: true };
      return must(api.POST("/api/v1/revocations", { params: { header: once() }, body: dry }));
    },
  });
  const cut = useAct({
    run: () => must(api.POST("/api/v1/revocations", { params: { header: once(key) }, body })),
    touches: ["sims", "sessions", "system", "overview"],
    after: (r) => "dry_run" in r || setDone(r),
    fields: ["reason", "ticket"],
  });
  if (!may("ban")) return <Text role="alert">{t.lost.noRight}</Text>;
  if (done) return <Receipts banned={done} />;
  const w = would.data && "dry_run" in would.data ? would.data : undefined;
  return (
    <Stack gap="md" className="cut">
      <Title order={2} size="h3">
        {t.lost.scopes[scope]}: {[words, value].filter(Boolean).join(" · ")}
      </Title>
      {would.error && <Fault error={would.error} again={() => void would.refetch()} />}
      {w && (
        <>
          <Text size="lg" fw={600}>
            {t.lost.wouldEnd(w.sims - w.banned_already, w.sessions)}
          </Text>
          <ul className="news">
            {w.affected.slice(0, 20).map((a) => (
              <li key={a.imsi}>
                <SimLink imsi={a.imsi} /> <Pill value={a.state} />{" "}
                {a.sessions.map((s) => `${s.dnn} ${s.ip}`).join(", ") || t.lost.noSession}
              </li>
            ))}
          </ul>
          {w.sims > 20 && <Text size="sm">{t.lost.andMore(w.sims - 20)}</Text>}
          {w.banned_already > 0 && <Text size="sm">{t.lost.already(w.banned_already)}</Text>}
        </>
      )}
      <SegmentedControl
        aria-label={t.fields.state}
        value={state}
        onChange={(v) => setState(v as "lost" | "stolen")}
        data={[
          { value: "lost", label: t.words.lost },
          { value: "stolen", label: t.words.stolen },
        ]}
      />
      <Group grow align="flex-start">
        <TextInput
          label={t.frame.reason}
          placeholder={t.lost.reason(words || value)}
          value={reason}
          error={cut.fault("reason")}
          onChange={(e) => setReason(e.currentTarget.value)}
        />
        <TextInput label={t.frame.ticket} value={ticket} error={cut.fault("ticket")} onChange={(e) => setTicket(e.currentTarget.value)} />
      </Group>
      <Group>
        <Button size="lg" color="red" loading={cut.busy} disabled={!w} onClick={() => cut.go(undefined)}>
          {t.lost.cut}
        </Button>
        <Button size="lg" variant="default" onClick={back}>
          {t.lost.other}
        </Button>
      </Group>
    </Stack>
  );
}
