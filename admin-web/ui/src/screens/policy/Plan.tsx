// What a draft would change, in the API's own words: who gains and loses what, how its tests come out, what it says in vain.

import { Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import type { Schemas } from "../../api/client";
import { Pill } from "../../frame/bits";
import { useT } from "../../i18n";
import { Findings } from "./Findings";
import { Tiles, type Tile } from "./Tiles";

type Plan = Schemas["PolicyPlan"];

/** Lines of each list that are shown. */
const LINES = 100;

export function PlanView({ plan, outdated }: { plan: Plan; outdated: boolean }) {
  const t = useT();
  const { tests } = plan;
  const lost = plan.access.filter((c) => c.is === "never");
  const gained = plan.access.filter((c) => c.was === "never" && c.is !== "never");
  const other = plan.access.filter((c) => c.was !== "never" && c.is !== "never");
  const tiles: Tile[] = [
    { n: gained.length, name: t.policy.gains, tone: "good" },
    { n: lost.length, name: t.policy.losses, tone: "bad" },
    { n: other.length, name: t.policy.others },
    ...(tests.passed + tests.failed > 0 ? [{ n: tests.failed, name: t.policy.testsFailed, tone: "bad" } satisfies Tile] : []),
  ];
  return (
    <PlanSection generation={plan.generation}>
      {outdated && (
        <Text size="sm" role="note" className="old">
          {t.policy.outdated}
        </Text>
      )}
      {plan.unchanged ? (
        <Text role="status">{t.policy.nothing}</Text>
      ) : (
        <Tiles tiles={tiles} />
      )}
      <Stack gap="xs">
        {plan.losing_sims > 0 && (
          <Text size="sm" className="danger">
            {t.policy.losing(plan.losing_sims, plan.losing_sessions)}
          </Text>
        )}
        {!plan.unchanged && plan.access.length === 0 && <Text size="sm">{t.policy.noAccess}</Text>}
        <Changes style="words-loss" title={t.policy.losses} all={lost} />
        <Changes style="words-gain" title={t.policy.gains} all={gained} />
        <Changes style="words-other" title={t.policy.others} all={other} />
        {plan.access_total > plan.access.length && <Text size="sm">{t.policy.more(plan.access_total - plan.access.length)}</Text>}
        <Names plan={plan} />
        <TestsOf tests={tests} />
        <Part title={t.policy.findings}>
          <Findings all={plan.findings} />
        </Part>
      </Stack>
    </PlanSection>
  );
}

/** What would change, under its title, which says against which generation. */
export function PlanSection({ generation, children }: { generation: number; children: ReactNode }) {
  const t = useT();
  return (
    <section aria-label={t.policy.planTitle} className="plan">
      <Title order={2} size="h4">
        {t.policy.planTitle}{" "}
        <Text span size="sm" c="dimmed">
          {t.policy.against(generation)}
        </Text>
      </Title>
      {children}
    </section>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div>
      <Title order={3} size="h5">
        {title}
      </Title>
      {children}
    </div>
  );
}

function Changes({ title, style, all }: { title: string; style: string; all: Schemas["AccessChange"][] }) {
  const t = useT();
  if (all.length === 0) return null;
  return (
    <Part title={title}>
      <ul className={`words ${style}`}>
        {all.slice(0, LINES).map((c) => (
          <li key={c.words}>{c.words}</li>
        ))}
      </ul>
      {all.length > LINES && <Text size="sm">{t.policy.more(all.length - LINES)}</Text>}
    </Part>
  );
}

const NAMES = ["new", "changed", "deleted"] as const;
const TONE = { new: "good", changed: "warn", deleted: "bad" } as const;

function Names({ plan }: { plan: Plan }) {
  const t = useT();
  const kinds = (["groups", "apps", "rules"] as const).filter((k) => NAMES.some((n) => plan[k][n].length > 0));
  if (kinds.length === 0) return null;
  return (
    <Part title={t.policy.names}>
      <ul className="words">
        {kinds.map((k) => (
          <li key={k}>
            {t.policy.kinds[k]}:{" "}
            {NAMES.flatMap((n) =>
              plan[k][n].slice(0, LINES).map((name) => (
                <span key={n + name}>
                  <Pill value={TONE[n]} text={t.policy[n]} /> {name}{" "}
                </span>
              )),
            )}
          </li>
        ))}
      </ul>
    </Part>
  );
}

/** How the policy's own tests come out. */
export function TestsOf({ tests }: { tests: Schemas["PolicyTests"] }) {
  const t = useT();
  return (
    <Part title={t.policy.tests}>
      {tests.passed + tests.failed === 0 ? (
        <Text size="sm">{t.policy.noTests}</Text>
      ) : (
        <Text size="sm">
          <Pill value={tests.failed > 0 ? "bad" : "good"} text={t.policy.testsOf(tests.passed, tests.failed)} />
        </Text>
      )}
      <ul className="words words-loss">
        {tests.failures.map((w) => (
          <li key={w}>{w}</li>
        ))}
      </ul>
      {tests.failed > 0 && (
        <Text size="sm" className="danger">
          {t.policy.testsFail}
        </Text>
      )}
    </Part>
  );
}
