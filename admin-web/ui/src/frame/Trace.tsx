// What this screen just asked of the API, as anyone can ask it: by curl, and by the command line tool.

import { Button, Code, CopyButton, Drawer, Group, Stack, Switch, Text } from "@mantine/core";
import { useState } from "react";
import { useCalls } from "../api/trace";
import { useT } from "../i18n";
import { useFormat } from "../i18n/format";

export function Trace({ opened, close }: { opened: boolean; close: () => void }) {
  const t = useT();
  const f = useFormat();
  const calls = useCalls();
  const [reads, setReads] = useState(true);
  const shown = calls.filter((c) => reads || c.method !== "GET");
  return (
    <Drawer opened={opened} onClose={close} position="bottom" size="60%" title={t.trace.title} closeButtonProps={{ "aria-label": t.frame.close }}>
      <Stack gap="md">
        <Text size="sm">{t.trace.help}</Text>
        <Switch size="xs" label={t.trace.reads} checked={reads} onChange={(e) => setReads(e.currentTarget.checked)} />
        {shown.map((c) => (
          <Stack key={c.id} gap={4}>
            <Text size="xs" c="dimmed">
              {f.time(new Date(c.at).toISOString())} · {c.method} {c.path} · {c.status}
            </Text>
            {c.cli && <Line text={c.cli} />}
            <Line text={c.curl} />
          </Stack>
        ))}
        {shown.length === 0 && <Text size="sm">{t.trace.none}</Text>}
      </Stack>
    </Drawer>
  );
}

function Line({ text }: { text: string }) {
  const t = useT();
  return (
    <Group gap="xs" wrap="nowrap" align="flex-start">
      <Code block className="line" tabIndex={0}>
        {text}
      </Code>
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <Button size="compact-xs" variant="default" onClick={copy}>
            {copied ? t.trace.copied : t.trace.copy}
          </Button>
        )}
      </CopyButton>
    </Group>
  );
}
