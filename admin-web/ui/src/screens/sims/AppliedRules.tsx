// What would happen if the SIM opened each app now, and which rule says so: asked of the compiled policy itself.

import { Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, must, type Schemas } from "../../api/client";
import { Pill, To } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT, word } from "../../i18n";
import { to } from "../../url/state";
import { example } from "../traffic/service";

/** Apps, and rules towards the UE, that are asked about at once; the rest is a question of its own on *Why?*. */
const MOST = 30;

interface Asked {
  app: string;
  service: string;
  direction: "in" | "out";
}

interface Applied {
  answers: (Asked & { answer: Schemas["Explanation"] })[];
  more: boolean;
}

/** What each app offers, and what rules let apps open towards UEs. */
async function ask(imsi: string): Promise<Applied> {
  const query = { limit: MOST };
  const [apps, rules] = await Promise.all([
    must(api.GET("/api/v1/apps", { params: { query } })),
    // Who is limited to groups or sites may not read the rules; what they say of this SIM is answered all the same.
    must(api.GET("/api/v1/rules", { params: { query } })).catch(() => ({ items: [], next: null })),
  ]);
  const out = apps.items.flatMap((a): Asked[] => {
    const service = a.services?.[0];
    return service ? [{ app: a.name, service: example(service), direction: "out" }] : [];
  });
  const inward = rules.items.flatMap((r): Asked[] => {
    const service = r.direction === "in" ? r.to?.[0] : undefined;
    return service ? [{ app: r.app, service: example(service), direction: "in" }] : [];
  });
  const asked = new Map([...out, ...inward].map((q) => [JSON.stringify(q), q]));
  const answers = [...asked.values()].map(async (q) => ({
    ...q,
    answer: await must(api.GET("/api/v1/decisions", { params: { query: { imsi, ...q } } })),
  }));
  return { answers: await Promise.all(answers), more: Boolean(apps.next ?? rules.next) };
}

export function AppliedRules({ imsi }: { imsi: string }) {
  const t = useT();
  const q = useQuery({ queryKey: ["rules", "applied", imsi], queryFn: () => ask(imsi) });
  return (
    <section>
      <Title order={2} size="h4" mb="xs">
        {t.sim.rules}
      </Title>
      <Text size="sm" c="dimmed" mb="xs">
        {t.sim.rulesHelp}
      </Text>
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t.fields.app}</Table.Th>
            <Table.Th>{t.fields.verdict}</Table.Th>
            <Table.Th>{t.fields.rule}</Table.Th>
            <Table.Th>{t.fields.why}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {q.data?.answers.map(({ app, service, direction, answer }) => (
            <Table.Tr key={`${direction} ${app} ${service}`}>
              <Table.Td>
                <To href={to("/why", { imsi, app, service, direction: direction === "in" ? "in" : "" })}>{app}</To>
                <Text size="xs" c="dimmed">
                  {word(t.words, direction)} {service}
                </Text>
              </Table.Td>
              <Table.Td>
                <Pill value={answer.verdict} />
              </Table.Td>
              <Table.Td>{answer.rule && <To href={to("/rules", { open: answer.rule })}>{answer.rule}</To>}</Table.Td>
              <Table.Td>{word(t.reasons, answer.reason)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {q.data?.answers.length === 0 && <Text size="sm">{t.lists.apps}</Text>}
      {q.data?.more && (
        <Text size="sm" mt="xs">
          {t.sim.moreRules} <To href={to("/why", { imsi })}>{t.nav.why}</To>
        </Text>
      )}
    </section>
  );
}
