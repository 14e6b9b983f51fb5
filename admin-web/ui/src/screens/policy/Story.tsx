// Why a verdict is as it is, part by part: conditions with what is known, risk with its factors, the nearest rule.

import { Title } from "@mantine/core";
import type { Schemas } from "../../api/client";
import { Pill, To } from "../../frame/bits";
import { useT, word } from "../../i18n";
import { to } from "../../url/state";
import { Origin } from "../known/Origin";
import "./story.css";

type Reading = Schemas["Reading"];

const TONE: Record<string, string> = { yes: "good", no: "bad", unknown: "unknown" };

export function Conditions({ all }: { all: Reading[] }) {
  if (all.length === 0) return null;
  return (
    <ul className="conditions">
      {all.map((c) => (
        <li key={c.condition} data-holds={c.holds}>
          <Condition of={c} />
        </li>
      ))}
    </ul>
  );
}

function Condition({ of: c }: { of: Reading }) {
  const t = useT();
  // Lists of sites and models are no closed words; the others are said in the reader's language.
  const said = (v: string) =>
    v
      .split(" - ")
      .map((w) => word(t.conditions.values, w))
      .join(" – ");
  return (
    <>
      <Pill value={TONE[c.holds] ?? "unknown"} text={word(t.conditions.holds, c.holds)} />{" "}
      <strong>{word(t.conditions.fields, c.condition)}</strong> · {t.conditions.wants(said(c.wanted))} ·{" "}
      {t.conditions.is(c.value == null ? t.known.unknown : said(c.value))}
      <Origin source={c.source} since={c.since} until={c.until} />
    </>
  );
}

/** The score as a bar: what adds to it, and how much of that is only not known. `by` tells two of them apart. */
export function RiskParts({ risk, by }: { risk: Schemas["Risk"]; by?: string }) {
  const t = useT();
  const full = Math.max(100, risk.score);
  return (
    <section className="risk" aria-label={[t.conditions.risk, by].filter(Boolean).join(": ")}>
      <Title order={3} size="h5">
        {t.conditions.risk}: <Pill value={risk.level} text={word(t.conditions.values, risk.level)} /> {t.conditions.score(risk.score)}
      </Title>
      <div className="risk-bar" aria-hidden="true">
        {risk.factors.map((f) => (
          <span key={f.factor} className={`risk-part risk-${f.factor}${f.known ? "" : " risk-guess"}`} style={{ width: `${(100 * f.weight) / full}%` }} />
        ))}
      </div>
      <ul className="conditions">
        {risk.factors.map((f) => (
          <li key={f.factor}>
            <span className={`risk-dot risk-${f.factor}${f.known ? "" : " risk-guess"}`} aria-hidden="true" /> +{f.weight} {word(t.conditions.factors, f.factor)}
            {!f.known && <> ({t.conditions.countsAsBad})</>}
          </li>
        ))}
        {risk.factors.length === 0 && <li>{t.conditions.noFactor}</li>}
      </ul>
    </section>
  );
}

export function NearestRule({ nearest }: { nearest: Schemas["Nearest"] }) {
  const t = useT();
  return (
    <section className="nearest" aria-label={t.conditions.nearest}>
      <Title order={3} size="h5">
        {t.conditions.nearest}: <To href={to("/rules", { open: nearest.rule })}>{nearest.rule}</To>
      </Title>
      <ul className="conditions">
        {nearest.failed.map((f, i) => (
          <li key={i}>
            <Between of={f} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Between({ of: f }: { of: Schemas["Failed"] }) {
  const t = useT();
  const words: Record<string, string | ((of: string) => string)> = t.conditions.between;
  const said = words[f.what] ?? f.what;
  return (
    <>
      {typeof said === "function" ? said(f.of ?? "") : said} {f.condition && <Condition of={f.condition} />}
      {f.risk && <RiskParts risk={f.risk} />}
    </>
  );
}
