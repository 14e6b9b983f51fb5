// One's own account: where one is signed in, each ended by a press, the way to a new password, and one's passkeys.

import { Anchor, Button, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, must, once } from "../../api/client";
import { useAct } from "../../frame/act";
import { Pill, Screen, When } from "../../frame/bits";
import { useMe } from "../../frame/me";
import { Fault } from "../../frame/Fault";
import { ReasonDialog } from "../../frame/ReasonDialog";
import { useT } from "../../i18n";
import { Passkeys } from "./Passkeys";

export default function Account() {
  const t = useT();
  const me = useMe();
  const [ending, setEnding] = useState<string>();
  const q = useQuery({ queryKey: ["sign-ins"], queryFn: () => must(api.GET("/api/v1/me/sign-ins")), refetchInterval: 15_000 });
  const end = useAct({
    run: (id: string) => must(api.DELETE("/api/v1/me/sign-ins/{id}", { params: { path: { id }, header: once() } })),
    done: t.frame.done,
    touches: ["sign-ins"],
    after: () => setEnding(undefined),
  });
  return (
    <Screen title={t.nav.account}>
      {me.provider ? (
        <Text size="sm">{t.account.by(me.provider, me.label, me.subject ?? "")}</Text>
      ) : (
        // A page of the server itself: it works without this console.
        <Anchor href="/password" size="sm" underline="always">
          {t.account.password}
        </Anchor>
      )}
      <Title order={2} size="h4">
        {t.account.signIns}
      </Title>
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t.fields.created}</Table.Th>
            <Table.Th>{t.fields.lastUsed}</Table.Th>
            <Table.Th>{t.fields.expires}</Table.Th>
            <Table.Th>{t.fields.signedInBy}</Table.Th>
            <Table.Th>{t.fields.state}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {q.data?.map((s) => (
            <Table.Tr key={s.id}>
              <Table.Td>
                <When at={s.created} />
              </Table.Td>
              <Table.Td>
                <When at={s.last_used} />
              </Table.Td>
              <Table.Td>
                <When at={s.expires} />
              </Table.Td>
              <Table.Td>{s.provider ? `${s.provider}: ${s.subject}` : t.account.local}</Table.Td>
              <Table.Td>
                {s.current ? (
                  <Pill value="active" text={t.account.here} />
                ) : (
                  <Button size="compact-xs" variant="default" onClick={() => setEnding(s.id)}>
                    {t.account.end}
                  </Button>
                )}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {ending && (
        <ReasonDialog
          plain
          title={t.account.endSure}
          action={t.account.end}
          act={{ ...end, go: () => end.go(ending) }}
          close={() => setEnding(undefined)}
        />
      )}
      {me.operator && <Passkeys />}
    </Screen>
  );
}
