// A lost or stolen device, at three in the morning, on a phone: one field, one match, one confirm that names what will
// end, and then the cut as it happens, up to its receipt. The address holds what was found and what was chosen.

import { Loader, Text, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useState } from "react";
import { useFind, type Match } from "../../api/find";
import { Pill, Screen } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT } from "../../i18n";
import { useUrlValues } from "../../url/state";
import { Cut } from "./Cut";
import "./lost.css";

const NAMES = ["q", "scope", "value"] as const;

export default function Lost() {
  const t = useT();
  const [values, write] = useUrlValues(NAMES);
  const [text, setText] = useState(values["q"] ?? "");
  const later = useDebouncedCallback((q: string) => write({ q }), 200);
  const asked = values["q"]?.trim() ?? "";
  const found = useFind(asked, 20);
  const scope = values["scope"] as Match["scope"] | "";
  if (scope && values["value"]) {
    const match = found.matches.find((m) => m.scope === scope && m.value === values["value"]);
    return (
      <Screen title={t.nav.lost}>
        <Cut scope={scope} value={values["value"]} words={match?.words ?? ""} back={() => write({ scope: "", value: "" })} />
      </Screen>
    );
  }
  return (
    <Screen title={t.nav.lost}>
      <TextInput
        size="lg"
        autoFocus
        label={t.lost.field}
        description={t.lost.help}
        value={text}
        onChange={(e) => {
          setText(e.currentTarget.value);
          later(e.currentTarget.value);
        }}
        rightSection={found.busy ? <Loader size="xs" /> : null}
      />
      {found.error && <Fault error={found.error} />}
      <ul className="matches" aria-label={t.lost.matches}>
        {found.matches.map((m) => (
          <li key={`${m.scope}:${m.value}`}>
            <button type="button" className="match" onClick={() => write({ scope: m.scope, value: m.value })}>
              <strong>{m.words || m.value}</strong>
              <span>
                {t.lost.scopes[m.scope]} {m.words && m.value}
              </span>
              {m.state && <Pill value={m.state} />}
            </button>
          </li>
        ))}
      </ul>
      {asked !== "" && found.done && !found.busy && found.matches.length === 0 && <Text role="status">{t.lost.nothing}</Text>}
    </Screen>
  );
}
