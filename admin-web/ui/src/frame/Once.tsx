// A secret that is shown once and kept nowhere.

import { Alert, Code } from "@mantine/core";
import { useT } from "../i18n";

/** A secret that is shown this once. */
export function Once({ text }: { text: string | null | undefined }) {
  const t = useT();
  return (
    <Alert title={t.operators.once} color="orange" variant="outline" role="status">
      <Code block tabIndex={0}>
        {text}
      </Code>
    </Alert>
  );
}
