// Every state that a SIM was in: who changed it, when and why. It is kept longer than the timeline.

import { Button, Text, Title } from "@mantine/core";
import { api, must } from "../../api/client";
import { useList } from "../../api/list";
import { Pill, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT } from "../../i18n";

export function History({ imsi }: { imsi: string }) {
  const t = useT();
  const list = useList(["sims", "history", imsi], (cursor) =>
    must(api.GET("/api/v1/sims/{imsi}/history", { params: { path: { imsi }, query: { limit: 10, ...(cursor ? { cursor } : {}) } } })),
  );
  return (
    <section>
      <Title order={2} size="h4" mt="lg" mb="xs">
        {t.sim.history}
      </Title>
      {list.error && <Fault error={list.error} again={list.again} />}
      <ol className="news">
        {list.rows.map((h) => (
          <li key={h.at + h.to}>
            <When at={h.at} />
            <Pill value={h.from} /> → <Pill value={h.to} /> {h.actor}: {h.reason} {h.ticket && `(${h.ticket})`}
          </li>
        ))}
      </ol>
      {!list.loading && list.rows.length === 0 && <Text size="sm">{t.sim.noHistory}</Text>}
      {list.more && (
        <Button size="xs" variant="default" mt="xs" onClick={list.readMore}>
          {t.sim.older}
        </Button>
      )}
    </section>
  );
}
