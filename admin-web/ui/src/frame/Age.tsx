// How old what is shown is. It counts on when the connection is lost, so nobody takes old news for new.

import { ActionIcon, Group, Text } from "@mantine/core";
import { useNow } from "../api/live";
import { useT } from "../i18n";
import { useFormat } from "../i18n/format";

/** Older than this it is marked, milliseconds. */
const OLD = 60_000;

export function Age({ at, again, busy }: { at: number; again?: () => void; busy?: boolean }) {
  const t = useT();
  const f = useFormat();
  const now = useNow();
  if (at === 0) return null;
  const age = Math.max(0, now - at);
  return (
    <Group gap={4} wrap="nowrap">
      <Text size="xs" c={age > OLD ? undefined : "dimmed"} className={age > OLD ? "old" : undefined}>
        {t.frame.asOf(f.span(age))}
      </Text>
      {again && (
        <ActionIcon size="sm" variant="subtle" aria-label={t.frame.again} onClick={again} loading={busy ?? false}>
          ⟳
        </ActionIcon>
      )}
    </Group>
  );
}
