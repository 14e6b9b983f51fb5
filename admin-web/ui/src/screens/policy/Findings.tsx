// What a policy says in vain or against itself, each with a flow that shows it.

import { Text } from "@mantine/core";
import type { Schemas } from "../../api/client";
import { Pill, To } from "../../frame/bits";
import { useT, word } from "../../i18n";
import { to } from "../../url/state";

type Finding = Schemas["PolicyFinding"];

const TONE: Record<string, string> = { shadowed: "warn", redundant: "calm", contradictory: "bad", unused: "unknown" };
const SCREENS: Record<string, string> = { rule: "/rules", app: "/apps", group: "/groups" };

/** Lines that are shown. */
const LINES = 200;

export function Findings({ all }: { all: Finding[] }) {
  const t = useT();
  if (all.length === 0) return <Text size="sm">{t.policy.noFindings}</Text>;
  return (
    <ul className="faults">
      {all.slice(0, LINES).map((f) => (
        <li key={f.kind + f.of + f.words} data-kind={f.kind}>
          <Pill value={TONE[f.kind] ?? "warn"} text={word(t.policy.findingKinds, f.kind)} /> {f.words} → <Of of={f.of} />
          {f.imsi && f.address && f.service && (
            <>
              {" · "}
              <To href={to("/why", { imsi: f.imsi, address: f.address, service: f.service })}>{t.policy.flow}</To>
            </>
          )}
        </li>
      ))}
      {all.length > LINES && <li>{t.policy.more(all.length - LINES)}</li>}
    </ul>
  );
}

function Of({ of }: { of: string }) {
  const [kind = "", name = ""] = of.split(":");
  return <To href={to(SCREENS[kind] ?? "/rules", { open: name })}>{name}</To>;
}
