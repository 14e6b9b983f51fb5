// The SIMs of a person or a device, each with what is known of it in a line.

import { Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, must } from "../../api/client";
import { Pill, SimLink, To } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT, word } from "../../i18n";
import { to } from "../../url/state";
import { pillOf, useFacts } from "./Known";
import "./known.css";

/** SIMs that are shown; the list has them all. */
const MOST = 5;
/** Facts that stand in the line. */
const SHOWN = ["posture", "assurance", "risk", "risk-score", "place"];

export function TheirSims(of: { person: string } | { device: string }) {
  const t = useT();
  const q = useQuery({
    queryKey: ["sims", "theirs", of],
    queryFn: () => must(api.GET("/api/v1/sims", { params: { query: { ...of, limit: MOST } } })),
  });
  return (
    <section>
      <Title order={3} size="h5" mb={4}>
        {t.known.itsSims}
      </Title>
      {q.error && <Fault error={q.error} />}
      {q.data?.items.length === 0 && <Text size="sm">{t.known.noSims}</Text>}
      <ul className="known theirs">
        {q.data?.items.map((s) => (
          <li key={s.imsi}>
            <span className="known-name">
              <SimLink imsi={s.imsi} /> <Pill value={s.state} />
            </span>
            <Line imsi={s.imsi} />
          </li>
        ))}
      </ul>
      {q.data?.next && <To href={to("/sims", { ...of })}>{t.known.moreSims}</To>}
    </section>
  );
}

function Line({ imsi }: { imsi: string }) {
  const t = useT();
  const q = useFacts(imsi);
  const facts = q.data?.facts.filter((f) => SHOWN.includes(f.fact)) ?? [];
  return (
    <dl className="line-facts">
      {q.error && <Fault error={q.error} />}
      {facts.map((f) => {
        const pill = f.value == null ? { value: "unknown", text: t.known.unknown } : pillOf(f, t);
        return (
          <div key={f.fact}>
            <dt>{word(t.known.facts, f.fact)}</dt>
            <dd title={f.words}>{pill ? <Pill {...pill} /> : f.words}</dd>
          </div>
        );
      })}
    </dl>
  );
}
