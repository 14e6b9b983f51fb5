// What would happen if the SIM opened each app now, and which rule says so: asked of the compiled policy itself.

import { Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, must, type Schemas } from "../../api/client";
import { Pill, To } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT, word } from "../../i18n";
import { to } from "../../url/state";
import { example } from "../traffic/service";

/** Apps that are asked about at once; the rest is a question of its own on the screen *Why?*. */
const MOST = 30;

interface Applied {
  app: string;
  service: string;
  answer: Schemas["Explanation"];
}

async function ask(imsi: string): Promise<Applied[]> {
  const apps = await must(api.GET("/api/v1/apps", { params: { query: { limit: MOST } } }));
  const questions = apps.items.flatMap((a) => {
    const service = a.services?.[0];
    return service ? [{ app: a.name, service }] : [];
  });
  return Promise.all(
    questions.map(async (q) => {
      const query = { imsi, app: q.app, service: example(q.service), direction: "out" as const };
      return { ...q, answer: await must(api.GET("/api/v1/decisions", { params: { query } })) };
    }),
  );
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
          {q.data?.map(({ app, service, answer }) => (
            <Table.Tr key={app}>
              <Table.Td>
                <To href={to("/why", { imsi, app, service: example(service) })}>{app}</To>
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
    </section>
  );
}
