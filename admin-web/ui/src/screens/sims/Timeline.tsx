// What happened to a SIM, in the API's own plain words, the newest first.

import { Button, Title } from "@mantine/core";
import { api, must } from "../../api/client";
import { useList } from "../../api/list";
import { When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useLanguage } from "../../i18n";

export function Timeline({ imsi }: { imsi: string }) {
  const { messages: t, language } = useLanguage();
  // The words come from the server, so they are read again in the other language.
  const list = useList(["timeline", imsi, language], (cursor) =>
    must(api.GET("/api/v1/sims/{imsi}/timeline", { params: { path: { imsi }, query: { limit: 30, ...(cursor ? { cursor } : {}) } } })),
  );
  return (
    <section>
      <Title order={2} size="h4" mt="lg" mb="xs">
        {t.sim.timeline}
      </Title>
      {list.error && <Fault error={list.error} again={list.again} />}
      <ol className="news">
        {list.rows.map((e) => (
          <li key={e.id}>
            <When at={e.at} />
            {e.title}
          </li>
        ))}
      </ol>
      {!list.loading && list.rows.length === 0 && t.sim.noTimeline}
      {list.more && (
        <Button size="xs" variant="default" mt="xs" onClick={list.readMore}>
          {t.sim.older}
        </Button>
      )}
    </section>
  );
}
