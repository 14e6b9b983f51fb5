// How risk is weighed: what counts how much, which sum is which level, and what a level comes to. The picture shows every
// situation there can be; nothing is in force before somebody has seen what hangs on it.

import { Button, Group, Loader, NativeSelect, NumberInput, Stack, Table, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ifMatch, must, type Schemas } from "../../api/client";
import { problemOf } from "../../api/problem";
import { useAct, type Act } from "../../frame/act";
import { Pill, Screen, To } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { ReasonDialog, type Reason } from "../../frame/ReasonDialog";
import { useLanguage, useT } from "../../i18n";
import { to } from "../../url/state";
import { PlanSection, TestsOf } from "./Plan";
import { FACTORS, isSame, LEVELS, OUTCOMES, profileOf, SENSITIVITIES, situations, type Profile } from "./risk";
import { RiskPicture } from "./RiskPicture";
import { WhatIf } from "./WhatIf";
import "./editor.css";
import "./risk.css";

type Kept = Schemas["KeptRiskProfile"];

export default function Risk() {
  const t = useT();
  const q = useQuery({ queryKey: ["rules", "risk"], queryFn: () => must(api.GET("/api/v1/risk-profile")), refetchOnWindowFocus: false });
  return (
    <Screen title={t.nav.risk}>
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      {q.data ? <Weighing key={q.data.version} kept={q.data} /> : !q.error && <Loader className="waiting" />}
    </Screen>
  );
}

function Weighing({ kept }: { kept: Kept }) {
  const t = useT();
  const may = useMay()("policy");
  const stored = profileOf(kept);
  const [draft, setDraft] = useState(stored);
  const [asking, setAsking] = useState(false);
  const plan = usePlan();
  const { language } = useLanguage();
  const seen = plan.data?.language === language && isSame(plan.data.profile, draft) ? plan.data.plan : undefined;
  const act = useAct({
    run: (_: Reason) => must(api.PUT("/api/v1/risk-profile", { params: { header: ifMatch(kept.version) }, body: draft })),
    done: t.risk.applied,
    touches: ["rules", "facts"],
    after: () => setAsking(false),
  });
  const faults = plan.error && plan.variables && isSame(plan.variables, draft) ? problemOf(plan.error).faults : [];
  const fault = (field: string) => faults.filter((f) => f.field === field).map((f) => f.text).join("\n") || undefined;
  const isNew = !isSame(draft, stored);
  return (
    <Stack gap="md">
      <Group gap="xs">
        <Button size="xs" variant="default" disabled={!isNew} onClick={() => setDraft(stored)}>
          {t.policy.discard}
        </Button>
        <Button size="xs" onClick={() => plan.mutate(draft)} loading={plan.isPending}>
          {t.policy.plan}
        </Button>
        {may && (
          <Button size="xs" color="red" disabled={!seen || seen.unchanged || seen.tests.failed > 0} onClick={() => setAsking(true)}>
            {t.policy.apply}
          </Button>
        )}
        <Pill value={isNew ? "warn" : "good"} text={isNew ? t.policy.draft : kept.shipped ? t.risk.shipped : t.risk.own} />
      </Group>
      {plan.error && faults.length === 0 && <Fault error={plan.error} />}
      {seen && <PlanOf plan={seen} />}
      <div className="risk-form">
        <Numbers draft={draft} set={setDraft} fault={fault} />
        <Outcomes draft={draft} set={setDraft} fault={fault} />
      </div>
      <RiskPicture draft={draft} all={situations(draft)} />
      <WhatIf draft={draft} />
      {asking && <Sure act={act} close={() => setAsking(false)} rules={seen?.rules.length ?? 0} />}
    </Stack>
  );
}

/** Its answer is in the language that it was asked in. */
function usePlan() {
  const { language } = useLanguage();
  return useMutation({
    mutationFn: async (profile: Profile) => ({ profile, language, plan: await must(api.POST("/api/v1/risk-profile/plan", { body: profile })) }),
    gcTime: 0,
  });
}

interface Part {
  draft: Profile;
  set: (p: Profile) => void;
  fault: (field: string) => string | undefined;
}

function Numbers({ draft, set, fault }: Part) {
  const t = useT();
  const number = (label: string, at: string, value: number, write: (n: number) => void) => (
    <NumberInput key={at} label={label} value={value} allowDecimal={false} min={0} max={1000} w={190} error={fault(at)} onChange={(v) => write(Number(v) || 0)} />
  );
  return (
    <>
      <fieldset>
        <legend>{t.risk.weights}</legend>
        {FACTORS.map((f) =>
          number(t.risk.factors[f], `weights/${f}`, draft.weights[f], (n) => set({ ...draft, weights: { ...draft.weights, [f]: n } })),
        )}
      </fieldset>
      <fieldset>
        <legend>{t.risk.levels}</legend>
        {(["medium", "high", "critical"] as const).map((l) =>
          number(t.conditions.values[l], `levels/${l}`, draft.levels[l], (n) => set({ ...draft, levels: { ...draft.levels, [l]: n } })),
        )}
      </fieldset>
      <fieldset>
        <legend>{t.risk.night}</legend>
        <TextInput label={t.risk.hours} w={190} value={draft.night_hours} error={fault("night_hours")} onChange={(e) => set({ ...draft, night_hours: e.currentTarget.value })} />
        <TextInput
          label={t.risk.zone}
          description={t.risk.zoneHelp}
          w={190}
          value={draft.zone ?? ""}
          error={fault("zone")}
          onChange={(e) => set({ ...draft, zone: e.currentTarget.value || null })}
        />
      </fieldset>
    </>
  );
}

function Outcomes({ draft, set, fault }: Part) {
  const t = useT();
  const choices = OUTCOMES.map((value) => ({ value, label: t.words[value] }));
  return (
    <fieldset>
      <legend>{t.risk.outcomes}</legend>
      <Table className="risk-outcomes">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t.risk.level}</Table.Th>
            {SENSITIVITIES.map((s) => (
              <Table.Th key={s}>{t.words[s]}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {LEVELS.map((level) => (
            <Table.Tr key={level}>
              <Table.Th scope="row">{t.conditions.values[level]}</Table.Th>
              {SENSITIVITIES.map((s) => (
                <Table.Td key={s}>
                  <NativeSelect
                    aria-label={t.risk.outcomeOf(t.conditions.values[level], t.words[s])}
                    data={choices}
                    value={draft.outcomes[level][s]}
                    error={fault(`outcomes/${level}/${s}`)}
                    onChange={(e) => {
                      const value = OUTCOMES.find((o) => o === e.currentTarget.value) ?? "deny";
                      set({ ...draft, outcomes: { ...draft.outcomes, [level]: { ...draft.outcomes[level], [s]: value } } });
                    }}
                  />
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </fieldset>
  );
}

function PlanOf({ plan }: { plan: Schemas["RiskPlan"] }) {
  const t = useT();
  return (
    <PlanSection generation={plan.generation}>
      {plan.unchanged && <Text role="status">{t.policy.nothing}</Text>}
      <Text size="sm">{plan.rules.length === 0 ? t.risk.noRules : t.risk.rules(plan.rules.length)}</Text>
      <ul className="words words-other">
        {plan.rules.slice(0, 100).map((r) => (
          <li key={r}>
            <To href={to("/rules", { open: r })}>{r}</To>
          </li>
        ))}
      </ul>
      <MovesOf moves={plan.moves} />
      <TestsOf tests={plan.tests} />
    </PlanSection>
  );
}

/** Whom it moves at this moment, in the API's own words. */
function MovesOf({ moves }: { moves: Schemas["RiskPlan"]["moves"] }) {
  const t = useT();
  if (!moves) {
    return (
      <Text size="sm" role="note" className="old">
        {t.risk.movesUnknown}
      </Text>
    );
  }
  const lists = [
    ["words-other", moves.levels],
    ["words-loss", moves.apps.filter((a) => a.is === "closed")],
    ["words-other", moves.apps.filter((a) => a.is === "step-up")],
    ["words-gain", moves.apps.filter((a) => a.is === "open")],
  ] as const;
  return (
    <>
      <Text size="sm">{t.risk.moves(moves.moved, moves.sims)}</Text>
      {lists.map(([style, all], nth) =>
        all.length === 0 ? null : (
          <ul key={nth} className={`words ${style}`}>
            {all.map((m) => (
              <li key={m.words}>{m.words}</li>
            ))}
          </ul>
        ),
      )}
      {moves.apps_left > 0 && <Text size="sm">{t.policy.more(moves.apps_left)}</Text>}
    </>
  );
}

function Sure({ act, close, rules }: { act: Act<Reason>; close: () => void; rules: number }) {
  const t = useT();
  return (
    <ReasonDialog plain title={t.risk.sure} action={t.policy.apply} act={act} close={close}>
      <Text size="sm">{t.risk.sureWhat(rules)}</Text>
    </ReasonDialog>
  );
}
