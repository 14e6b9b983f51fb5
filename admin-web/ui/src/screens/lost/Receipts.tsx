// What became of a cut: in force since when, stored where, what still hangs, until nothing does. Read again until then.

import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, must, type Schemas } from "../../api/client";
import { Age } from "../../frame/Age";
import { SimLink, To, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useLanguage, word } from "../../i18n";
import { useFormat } from "../../i18n/format";
import { saveFile } from "../../url/save";
import { to } from "../../url/state";

export function Receipts({ banned }: { banned: Schemas["ScopeBanned"] }) {
  const { messages: t } = useLanguage();
  const f = useFormat();
  const q = useQuery({
    queryKey: ["revocations", "one", banned.id],
    queryFn: () => must(api.GET("/api/v1/revocations/{id}", { params: { path: { id: banned.id } } })),
    refetchInterval: 1_000,
  });
  return (
    <Stack gap="md" className="cut">
      <Group role="status">
        <Title order={2} size="h3">
          {t.lost.isCut(f.number(banned.sims), (banned.cut_us / 1000).toFixed(1))}
        </Title>
        <Age at={q.dataUpdatedAt} />
      </Group>
      {banned.failed.map((x) => (
        <Text key={x.imsi} role="alert">
          <SimLink imsi={x.imsi} /> {x.why}
        </Text>
      ))}
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      {q.data?.receipts.map((r) => <Receipt key={r.imsi} receipt={r} />)}
      {q.data?.receipts.length === 0 && <Stored places={banned.stored} pending={banned.pending} />}
      <Group>
        {q.data && <Download receipts={q.data.receipts} id={banned.id} />}
        <To href={to("/revocations", { open: banned.id })}>{t.lost.all}</To>
      </Group>
    </Stack>
  );
}

export function Receipt({ receipt: r }: { receipt: Schemas["Receipt"] }) {
  const { messages: t } = useLanguage();
  return (
    <section aria-label={r.imsi}>
      <Title order={3} size="h4">
        <SimLink imsi={r.imsi} /> {word(t.words, r.state)}
      </Title>
      <ol className="steps">
        <li className={r.cut.shards === r.cut.of ? "done" : "bad"}>
          {t.lost.enforced(r.cut.shards, r.cut.of, (r.cut.us / 1000).toFixed(1))} <When at={r.cut.at} />
        </li>
        {r.sessions.map((s) => (
          <li key={s.seid ?? s.id} className={s.released ? "done" : "pending"}>
            {t.lost.session(s.dnn)} {s.released ? <When at={s.released} /> : t.words.pending}
          </li>
        ))}
        <li className={r.deregistration === "pending" ? "pending" : r.deregistration === "unconfirmed" ? "bad" : "done"}>
          {t.lost.deregistration}: {word(t.words, r.deregistration)}
        </li>
        <li className="done">
          {t.lost.lastPacket}: {r.last_packet ? <When at={r.last_packet} /> : t.words.none} · {t.lost.dropped(r.dropped_since)}
        </li>
        {(r.attempts.authenticated > 0 || r.attempts.claimed > 0) && (
          <li className="bad">{t.lost.attempts(r.attempts.authenticated, r.attempts.claimed)}</li>
        )}
      </ol>
      <Stored places={r.stored} pending={r.pending} />
      <Text size="xs" c="dimmed" mt={4}>
        {t.lost.signed(r.version, r.signed_by.slice(0, 16))}
      </Text>
    </section>
  );
}

function Stored({ places, pending }: { places: Schemas["StoredAt"][]; pending: Schemas["Pending"][] }) {
  const { messages: t, language } = useLanguage();
  return (
    <ol className="steps">
      {places.map((p) => (
        <li key={p.place} className="done">
          {t.lost.stored(p.place)} {p.record != null && `#${p.record}`}
        </li>
      ))}
      {pending.map((p) => (
        <li key={p.code} className="pending">
          {p[language]} {p.detail}
        </li>
      ))}
    </ol>
  );
}

/** The receipts as a file that `sekisho revocation verify` reads. */
function Download({ receipts, id }: { receipts: Schemas["Receipt"][]; id: string }) {
  const { messages: t } = useLanguage();
  const save = () => saveFile(`receipt-${id}.json`, JSON.stringify({ receipts }, null, 2), "application/json");
  return (
    <Button variant="default" size="xs" onClick={save}>
      {t.lost.download}
    </Button>
  );
}
