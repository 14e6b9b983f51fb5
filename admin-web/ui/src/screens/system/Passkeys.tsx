// One's own passkeys: listed, registered with the device that the browser runs on, removed. A browser lets a page have
// them at the very host name that they are bound to.

import { Button, Group, PasswordInput, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api, must, once } from "../../api/client";
import { useAct } from "../../frame/act";
import { When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { ReasonDialog } from "../../frame/ReasonDialog";
import { useT } from "../../i18n";

/** What the browser's own types do not know yet (Web Authentication Level 3). */
type Maker = { parseCreationOptionsFromJSON?: (options: unknown) => PublicKeyCredentialCreationOptions };

export function Passkeys() {
  const t = useT();
  const [removing, setRemoving] = useState<string>();
  const q = useQuery({ queryKey: ["passkeys"], queryFn: () => must(api.GET("/api/v1/me/passkeys")) });
  const remove = useAct({
    run: (id: string) => must(api.DELETE("/api/v1/me/passkeys/{id}", { params: { path: { id }, header: once() } })),
    done: t.frame.done,
    touches: ["passkeys"],
    after: () => setRemoving(undefined),
  });
  const host = q.data?.host;
  return (
    <Stack gap="sm" mt="lg" align="flex-start">
      <Title order={2} size="h4">
        {t.account.passkeys}
      </Title>
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      {q.data && q.data.items.length > 0 && (
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t.fields.name}</Table.Th>
              <Table.Th>{t.fields.created}</Table.Th>
              <Table.Th>{t.fields.lastUsed}</Table.Th>
              <Table.Th>{t.fields.state}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {q.data.items.map((p) => (
              <Table.Tr key={p.id}>
                <Table.Td>{p.name}</Table.Td>
                <Table.Td>
                  <When at={p.created} />
                </Table.Td>
                <Table.Td>
                  <When at={p.last_used} />
                </Table.Td>
                <Table.Td>
                  <Button size="compact-xs" variant="default" onClick={() => setRemoving(p.id)}>
                    {t.account.removePasskey}
                  </Button>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {q.data && !host && <Text size="sm">{t.account.noPasskeys}</Text>}
      {host && host !== location.hostname && <Text size="sm">{t.account.elsewhere(host)}</Text>}
      {host && host === location.hostname && <Register />}
      {removing && (
        <ReasonDialog
          plain
          title={t.account.removeSure}
          action={t.account.removePasskey}
          act={{ ...remove, go: () => remove.go(removing) }}
          close={() => setRemoving(undefined)}
        />
      )}
    </Stack>
  );
}

function Register() {
  const t = useT();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [said, setSaid] = useState("");
  const register = useAct({
    run: async () => {
      setSaid("");
      const asked = await must(api.POST("/api/v1/me/passkeys/challenge", { body: { password } }));
      const parse = (globalThis.PublicKeyCredential as (typeof PublicKeyCredential & Maker) | undefined)?.parseCreationOptionsFromJSON;
      if (!parse) return setSaid(t.account.noMaker);
      const publicKey = parse.call(PublicKeyCredential, asked.options);
      const made = await navigator.credentials.create({ publicKey }).catch(() => null);
      if (!made) return setSaid(t.account.notMade);
      const credential = (made as PublicKeyCredential).toJSON() as unknown as Record<string, never>;
      return must(api.POST("/api/v1/me/passkeys", { params: { header: once() }, body: { name, state: asked.state, credential } }));
    },
    done: (made) => (made ? t.frame.done : ""),
    touches: ["passkeys"],
    after: (made) => {
      if (!made) return;
      setName("");
      setPassword("");
    },
    fields: ["password", "name"],
  });
  const submit = (e: FormEvent) => {
    e.preventDefault();
    register.go(undefined);
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="xs">
        <Text size="sm">{t.account.passkeyHelp}</Text>
        <Group align="flex-end">
          <TextInput label={t.account.passkeyName} value={name} onChange={(e) => setName(e.currentTarget.value)} error={register.fault("name")} required maxLength={60} />
          <PasswordInput
            label={t.account.ownPassword}
            value={password}
            onChange={(e) => setPassword(e.currentTarget.value)}
            autoComplete="current-password"
            error={register.fault("password")}
            required
            miw={220}
          />
          <Button type="submit" variant="default" loading={register.busy}>
            {t.account.addPasskey}
          </Button>
        </Group>
        {said && (
          <Text size="sm" c="red" role="alert">
            {said}
          </Text>
        )}
      </Stack>
    </form>
  );
}
