// Grants for a time that this SIM has, by itself or by its person.

import { Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, must, type Schemas } from "../../api/client";
import { problemOf } from "../../api/problem";
import { To, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { useT } from "../../i18n";
import { to } from "../../url/state";
import { GrantState } from "../policy/Grants";

/** Grants that are looked through: those that count are few. */
const MOST = 1000;

export function SimGrants({ sim }: { sim: Schemas["Sim"] }) {
  const t = useT();
  const may = useMay();
  const q = useQuery({
    queryKey: ["grants", "some"],
    queryFn: () => must(api.GET("/api/v1/grants", { params: { query: { limit: MOST } } })),
    refetchInterval: 30_000,
  });
  const whom = [`sim:${sim.imsi}`, ...(sim.person ? [`person:${sim.person}`] : [])];
  const mine = q.data?.items.filter((g) => whom.includes(g.to)) ?? [];
  // Who is limited to groups or sites may not read grants.
  if (q.error && problemOf(q.error).status === 403) return null;
  return (
    <section>
      <Title order={2} size="h4" mt="lg" mb="xs">
        {t.nav.grants}
      </Title>
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      <ul className="news">
        {mine.map((g) => (
          <li key={g.id}>
            <GrantState grant={g} /> <To href={to("/grants", { open: g.id })}>{g.app}</To> {g.reason} – <When at={g.until} />
          </li>
        ))}
      </ul>
      {q.data && mine.length === 0 && <Text size="sm">{t.grants.none}</Text>}
      {may("policy") && sim.state !== "retired" && <To href={to("/grants", { open: "+", to: `sim:${sim.imsi}` })}>{t.grants.ask}</To>}
    </section>
  );
}
