// What somebody sees first at three in the morning: is it up, what is open, what just happened. Every number leads to
// its list.

import { Button, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { Link } from "wouter";
import { api, must } from "../../api/client";
import { openAlerts } from "../../api/counts";
import { useLive } from "../../api/live";
import { problemOf } from "../../api/problem";
import { Age } from "../../frame/Age";
import { Pill, Screen, SimLink, To, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { useLanguage, word } from "../../i18n";
import { useFormat } from "../../i18n/format";
import { to } from "../../url/state";

/** Problems and events that are shown; the rest is in their lists. */
const SHOWN = 12;

const Trend = lazy(() => import("./Trend"));

export default function Overview() {
  const { messages: t, language } = useLanguage();
  const f = useFormat();
  const may = useMay();
  const system = useQuery({
    queryKey: ["system"],
    queryFn: () => must(api.GET("/api/v1/system")),
    refetchInterval: 5_000,
  });
  const alerts = useQuery({
    queryKey: ["alerts", "open", language],
    queryFn: () => must(api.GET("/api/v1/alerts", { params: { query: { state: "open", limit: SHOWN } } })),
    refetchInterval: 30_000,
  });
  const counts = useQuery({
    queryKey: ["overview"],
    queryFn: () => must(api.GET("/api/v1/overview")),
    refetchInterval: 5_000,
  });
  const s = system.data;
  const c = counts.data;
  const open = openAlerts(c);
  // Who is limited to groups or sites may not count everything.
  const limited = problemOf(counts.error).status === 403;
  return (
    <Screen title={t.nav.overview} aside={<Age at={counts.dataUpdatedAt} again={() => void counts.refetch()} />}>
      {system.error && <Fault error={system.error} again={() => void system.refetch()} />}
      {c?.sims.total === 0 && may("provision") && (
        <div>
          <Text mb="xs">{t.overview.startHelp}</Text>
          <Button component={Link} href="/import">
            {t.overview.start}
          </Button>
        </div>
      )}
      {limited && (
        <Text>
          {t.overview.limited} <To href="/sims">{t.nav.sims}</To>
        </Text>
      )}
      {counts.error && !limited && <Fault error={counts.error} again={() => void counts.refetch()} />}
      {c && (
        <>
          <div className="cards">
            <Card n={c.sessions} name={t.overview.sessions} href="/sessions" />
            <Card n={c.ues} name={t.overview.ues} href={to("/sims", { sort: "-last_seen" })} />
            <Card n={c.gnbs} name={t.overview.radios} href="/radios" bad={c.gnbs === 0} />
            <Card n={c.revoked} name={t.overview.revoked} href="/revocations" />
            <Card n={open} name={t.overview.alerts} href={to("/alerts", { state: "open" })} bad={open > 0} />
          </div>
          <Title order={2} size="h4">
            {t.overview.sims}
          </Title>
          <div className="cards">
            <Card n={c.sims.total} name={t.overview.total} href="/sims" />
            {c.sims.states.map((x) => (
              <Card key={x.state} n={x.count} name={word(t.words, x.state)} href={to("/sims", { state: x.state })} />
            ))}
          </div>
        </>
      )}
      <div className="columns">
        <section aria-labelledby="problems">
          <Title order={2} size="h4" id="problems">
            {t.overview.problems}
          </Title>
          <ul className="news">
            {s?.parts
              .filter((p) => !p.up)
              .map((p) => (
                <li key={p.name}>
                  <Pill value="down" /> <To href="/health">{p.name}</To> {p.detail}
                </li>
              ))}
            {alerts.data?.items.slice(0, SHOWN).map((a) => (
              <li key={a.id}>
                <When at={a.last} />
                <To href={to("/alerts", { open: String(a.id) })}>{a.title}</To> {a.imsi && <SimLink imsi={a.imsi} />}
              </li>
            ))}
          </ul>
          {open > SHOWN && <To href={to("/alerts", { state: "open" })}>{t.overview.allOpen(f.number(open))}</To>}
          {s && s.parts.every((p) => p.up) && alerts.data?.items.length === 0 && <Text size="sm">{t.overview.noProblems}</Text>}
        </section>
        <News />
        <Suspense>
          <Trend sessions={c?.sessions} />
        </Suspense>
      </div>
    </Screen>
  );
}

function Card({ n, name, href, bad }: { n: number; name: string; href: string; bad?: boolean }) {
  const f = useFormat();
  return (
    <Link href={href} className={`card${bad ? " card-bad" : ""}`}>
      <div className="card-number">{f.number(n)}</div>
      <div className="card-name">{name}</div>
    </Link>
  );
}

/** The last security events: those from before this page was opened, and those that came since, each once. */
function News() {
  const { messages: t, language } = useLanguage();
  const { events, lost } = useLive();
  const q = useQuery({
    queryKey: ["security", language],
    queryFn: () => must(api.GET("/api/v1/events/security", { params: { query: { limit: SHOWN } } })),
  });
  const all = new Map(events.filter((e) => e.security).map((e) => [e.id, e]));
  for (const e of q.data?.items ?? []) all.set(e.id, e);
  const shown = [...all.values()].sort((a, b) => b.id - a.id).slice(0, SHOWN);
  return (
    <section aria-labelledby="news">
      <Title order={2} size="h4" id="news">
        {t.overview.news}
      </Title>
      <ul className="news" aria-live="polite">
        {shown.map((e) => (
          <li key={e.id} data-event={e.id}>
            <When at={e.at} />
            {e.title} {e.imsi && <SimLink imsi={e.imsi} />}
          </li>
        ))}
      </ul>
      {q.isSuccess && shown.length === 0 && <Text size="sm">{t.overview.noNews}</Text>}
      {lost > 0 && <Text size="sm">{t.overview.lost(lost)}</Text>}
      <To href="/alerts">{t.overview.allAlerts}</To>
    </section>
  );
}
