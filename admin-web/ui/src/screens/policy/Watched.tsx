// Rules that are only watched: what each would have denied or allowed so far, by the hour, by SIM and by app; and the two ends
// of it, into force or away.

import { Button, Group, Loader, Table, Text, Title } from "@mantine/core";
import { useState } from "react";
import { api, ifMatch, must, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { useAct } from "../../frame/act";
import { Age } from "../../frame/Age";
import { Screen, SimLink, To, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { ReasonDialog, type Reason } from "../../frame/ReasonDialog";
import { useT } from "../../i18n";
import { useFormat } from "../../i18n/format";
import { to } from "../../url/state";
import { paged } from "../paged";
import { Tiles } from "./Tiles";
import { hoursOf } from "./watched";
import "./editor.css";
import "./watched.css";

type Rule = Schemas["MonitoredRule"];

export default function Watched() {
  const t = useT();
  const list = useList(["rules", "monitored"], (cursor) => must(api.GET("/api/v1/policies/monitored", { params: { query: paged({}, cursor) } })));
  return (
    <Screen title={t.nav.watched} aside={<Age at={list.at} again={list.again} busy={list.reading} />}>
      <Text size="sm">{t.watched.help}</Text>
      {list.error && <Fault error={list.error} again={list.again} />}
      {list.loading && !list.error && <Loader className="waiting" />}
      {!list.loading && !list.error && list.rows.length === 0 && <Text role="status">{t.watched.none}</Text>}
      {list.rows.map((r) => (
        <One key={r.rule} rule={r} />
      ))}
      {list.more && (
        <Button size="xs" variant="default" onClick={list.readMore} loading={list.reading}>
          {t.table.more}
        </Button>
      )}
    </Screen>
  );
}

function One({ rule: r }: { rule: Rule }) {
  const t = useT();
  const f = useFormat();
  const may = useMay()("policy");
  const [asking, setAsking] = useState<"promote" | "drop">();
  return (
    <section aria-label={r.rule} data-rule={r.rule}>
      <Group gap="xs">
        <Title order={2} size="h4">
          <To href={to("/rules", { open: r.rule })}>{r.rule}</To>
        </Title>
        {r.until && (
          <Text size="sm" c="dimmed">
            {t.watched.until(f.time(r.until))}
          </Text>
        )}
        {may && (
          <>
            <Button size="compact-sm" variant="default" className="danger" onClick={() => setAsking("promote")}>
              {t.watched.promote}
            </Button>
            <Button size="compact-sm" variant="default" onClick={() => setAsking("drop")}>
              {t.watched.drop}
            </Button>
          </>
        )}
      </Group>
      <Text size="sm">
        {t.watched.since} <When at={r.since} />. {!r.complete && t.watched.reading}
      </Text>
      <Tiles
        tiles={[
          { n: r.would_deny, name: t.watched.wouldDeny, tone: "bad" },
          { n: r.would_allow, name: t.watched.wouldAllow, tone: "good" },
          { n: r.sims, name: t.watched.sims },
        ]}
      />
      <Hours rule={r} />
      <By rule={r} />
      {asking && <Sure key={asking} what={asking} rule={r} close={() => setAsking(undefined)} />}
    </section>
  );
}

/** A column for each hour of the week; what stands in it is said to those who do not see it. */
function Hours({ rule: r }: { rule: Rule }) {
  const t = useT();
  const f = useFormat();
  if (r.by_hour.length === 0) return null;
  const all = hoursOf(r.by_hour);
  const most = Math.max(...all.map((h) => h.denied + h.allowed), 1);
  const height = (n: number) => ({ height: `${(100 * n) / most}%` });
  return (
    <figure className="plain week">
      <figcaption>
        {t.watched.hours}: <span className="key key-denied">{t.watched.wouldDeny}</span>{" "}
        <span className="key key-allowed">{t.watched.wouldAllow}</span>
      </figcaption>
      <div className="hours" aria-hidden="true">
        {all.map((h) => (
          <span key={h.at} className="hour">
            {h.allowed > 0 && <span className="bars-allowed" style={height(h.allowed)} />}
            {h.denied > 0 && <span className="bars-denied" style={height(h.denied)} />}
          </span>
        ))}
      </div>
      <ul className="heard">
        {r.by_hour.map((h) => (
          <li key={h.at}>{t.watched.hour(f.time(h.at), f.number(h.would_deny), f.number(h.would_allow))}</li>
        ))}
      </ul>
    </figure>
  );
}

function By({ rule: r }: { rule: Rule }) {
  const t = useT();
  const f = useFormat();
  if (r.by.length === 0) return null;
  return (
    <Table captionSide="top">
      <Table.Caption>{t.watched.by}</Table.Caption>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{t.fields.imsi}</Table.Th>
          <Table.Th>{t.fields.app}</Table.Th>
          <Table.Th>{t.watched.wouldDeny}</Table.Th>
          <Table.Th>{t.watched.wouldAllow}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {r.by.map((l) => (
          <Table.Tr key={`${l.imsi} ${l.app ?? ""}`}>
            <Table.Td>
              <SimLink imsi={l.imsi} />
            </Table.Td>
            <Table.Td>{l.app ?? t.policy.noApp}</Table.Td>
            <Table.Td>{f.number(l.would_deny)}</Table.Td>
            <Table.Td>{f.number(l.would_allow)}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

/** The rule as it is at this moment is what is changed: whoever was quicker is not overwritten. */
function Sure({ what, rule: r, close }: { what: "promote" | "drop"; rule: Rule; close: () => void }) {
  const t = useT();
  const f = useFormat();
  const params = (version: number) => ({ params: { path: { name: r.rule }, header: ifMatch(version) } });
  const act = useAct({
    run: async (_: Reason) => {
      const { version, created: _c, changed: _d, ...rule } = await must(api.GET("/api/v1/rules/{name}", { params: { path: { name: r.rule } } }));
      if (what === "drop") await must(api.DELETE("/api/v1/rules/{name}", params(version)));
      else await must(api.PUT("/api/v1/rules/{name}", { ...params(version), body: { ...rule, monitor_until: null } }));
    },
    done: what === "drop" ? t.watched.dropped(r.rule) : t.watched.promoted(r.rule),
    touches: ["rules", "facts"],
    after: close,
  });
  const promote = what === "promote";
  return (
    <ReasonDialog
      plain
      title={promote ? t.watched.promoteSure(r.rule) : t.watched.dropSure(r.rule)}
      action={promote ? t.watched.promote : t.watched.drop}
      act={act}
      close={close}
    >
      <Text size="sm">{promote ? t.watched.promoteWhat(f.number(r.would_deny), f.number(r.sims)) : t.watched.dropWhat}</Text>
    </ReasonDialog>
  );
}
