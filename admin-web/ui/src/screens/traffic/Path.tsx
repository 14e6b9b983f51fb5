// The path of one SIM: UE → cell → core → gateway → rule → app, each hop with its last evidence; drawn, and as a table.

import { Button, Group, Table, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState, type FormEvent } from "react";
import { Pill, Screen, To } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT } from "../../i18n";
import { useFormat } from "../../i18n/format";
import { useUrlValues } from "../../url/state";
import { readPath } from "./hops";

const Picture = lazy(() => import("./Picture"));
const NAMES = ["imsi", "app"] as const;

export default function Path() {
  const t = useT();
  const f = useFormat();
  const [asked, ask] = useUrlValues(NAMES);
  const [draft, setDraft] = useState(asked);
  const imsi = asked["imsi"] ?? "";
  const q = useQuery({
    queryKey: ["sessions", "path", imsi, asked["app"], t],
    enabled: imsi !== "",
    refetchInterval: 5_000,
    queryFn: () => readPath(imsi, asked["app"] ?? "", t, f),
  });
  const send = (e: FormEvent) => {
    e.preventDefault();
    ask(draft);
  };
  return (
    <Screen title={t.nav.path}>
      <form onSubmit={send}>
        <Group align="flex-end" gap="sm">
          <TextInput label={t.fields.imsi} required value={draft["imsi"] ?? ""} onChange={(e) => setDraft({ ...draft, imsi: e.currentTarget.value })} />
          <TextInput label={t.fields.app} value={draft["app"] ?? ""} onChange={(e) => setDraft({ ...draft, app: e.currentTarget.value })} />
          <Button type="submit" loading={q.isFetching && !q.data}>
            {t.path.show}
          </Button>
        </Group>
      </form>
      {imsi === "" && <Text size="sm">{t.path.help}</Text>}
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      {q.data && (
        <>
          <Suspense>
            <Picture hops={q.data} label={`${t.nav.path}: ${imsi}`} />
          </Suspense>
          <Title order={2} size="h4">
            {t.path.table}
          </Title>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t.path.hop}</Table.Th>
                <Table.Th>{t.fields.name}</Table.Th>
                <Table.Th>{t.fields.state}</Table.Th>
                <Table.Th>{t.path.evidence}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {q.data.map((h) => (
                <Table.Tr key={h.id}>
                  <Table.Td className="whole">{h.kind}</Table.Td>
                  <Table.Td>{h.href ? <To href={h.href}>{h.name}</To> : h.name}</Table.Td>
                  <Table.Td>
                    <Pill value={h.state} text={t.path.states[h.state]} />
                  </Table.Td>
                  <Table.Td>{h.evidence}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </>
      )}
    </Screen>
  );
}
