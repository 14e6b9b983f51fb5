// A problem of the API where something should be: what is wrong, what to do, and the number to find it in the log by.

import { Alert, Button, Code, Group, Text } from "@mantine/core";
import { problemOf } from "../api/problem";
import { useT } from "../i18n";

export function Fault({ error, again }: { error: unknown; again?: () => void }) {
  const t = useT();
  const p = problemOf(error);
  const text = p.status === 0 ? t.frame.noAnswer : p.message;
  return (
    <Alert color="red" variant="outline" title={text} role="alert">
      {p.fix && <Text size="sm">{p.fix}</Text>}
      {p.faults.map((f) => (
        <Text size="sm" key={f.field + f.text}>
          {f.field && <Code>{f.field}</Code>} {f.text}
        </Text>
      ))}
      <Group gap="sm" mt={4}>
        {p.requestId && (
          <Text size="xs" c="dimmed">
            {t.frame.request} <Code>{p.requestId}</Code>
          </Text>
        )}
        {again && (
          <Button size="compact-xs" variant="default" onClick={again}>
            {t.frame.again}
          </Button>
        )}
      </Group>
    </Alert>
  );
}
