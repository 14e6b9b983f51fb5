// What somebody may do, and where: one or more grants, each of roles or single rights, everywhere or only for some groups
// and sites.

import { Button, Fieldset, Group, Stack, TagsInput, Text } from "@mantine/core";
import type { Schemas } from "../../api/client";
import { useT } from "../../i18n";

type Grant = Schemas["Grant"];

interface Props {
  grants: Grant[];
  set: (g: Grant[]) => void;
  error: string | undefined;
  roles: Schemas["Role"][];
}

export function Grants({ grants, set, error, roles }: Props) {
  const t = useT();
  const scopes = [...new Set(roles.flatMap((r) => r.scopes))].sort();
  const change = (n: number, part: Partial<Grant>) => set(grants.map((g, i) => (i === n ? { ...g, ...part } : g)));
  return (
    <Stack gap="sm">
      {grants.map((g, n) => (
        <Fieldset key={n} legend={`${t.operators.grant} ${n + 1}`}>
          <Stack gap="xs">
            <TagsInput label={t.fields.roles} data={roles.map((r) => r.name)} value={g.roles ?? []} onChange={(v) => change(n, { roles: v })} acceptValueOnBlur />
            <TagsInput label={t.fields.scopes} description={t.operators.scopesHelp} data={scopes} value={g.scopes ?? []} onChange={(v) => change(n, { scopes: v })} acceptValueOnBlur />
            <TagsInput label={t.operators.onlyGroups} value={g.groups ?? []} onChange={(v) => change(n, { groups: v })} acceptValueOnBlur />
            <TagsInput label={t.operators.onlySites} value={g.sites ?? []} onChange={(v) => change(n, { sites: v })} acceptValueOnBlur />
            {grants.length > 1 && (
              <Group justify="flex-end">
                <Button size="xs" variant="default" className="danger" onClick={() => set(grants.filter((_, i) => i !== n))}>
                  {t.operators.dropGrant(n + 1)}
                </Button>
              </Group>
            )}
          </Stack>
        </Fieldset>
      ))}
      {error && (
        <Text size="sm" className="danger" role="alert">
          {error}
        </Text>
      )}
      <div>
        <Button size="xs" variant="default" onClick={() => set([...grants, { roles: [] }])}>
          {t.operators.addGrant}
        </Button>
      </div>
    </Stack>
  );
}
