// Who tells of devices, people and risk: each with its last success and how long ago that is. A webhook's secret is shown
// once, when it is made.

import { Button, Stack, Text } from "@mantine/core";
import { useMemo, useState } from "react";
import { api, ifMatch, must, once, type Schemas } from "../../api/client";
import { useNow } from "../../api/live";
import type { Draft } from "../../form/Form";
import { useAct } from "../../frame/act";
import { Facts, Pill, When } from "../../frame/bits";
import { useMay } from "../../frame/me";
import { Once } from "../../frame/Once";
import { ReasonDialog } from "../../frame/ReasonDialog";
import { useT, word } from "../../i18n";
import { useFormat } from "../../i18n/format";
import { paged } from "../paged";
import { Resource, type ResourceOf } from "../Resource";
import { groupLines, groupsOf } from "./groups";

/** A source as the form has it: the transmitter's fields stand beside the others, by the names of their places. */
type Source = Omit<Schemas["Source"], "groups"> & Draft;
type Body = Schemas["SourceBody"];

const TRANSMITTER = ["issuer", "audience", "jwks_uri", "poll_url", "assured_by", "assured_for_s"] as const;

function flat(s: Schemas["Source"]): Source {
  const ssf = Object.fromEntries(TRANSMITTER.map((n) => [`ssf/${n}`, s.ssf?.[n]]));
  return { ...s, ...ssf, "ssf/jwks": s.ssf?.jwks ? JSON.stringify(s.ssf.jwks, null, 1) : null, groups: groupLines(s.groups) };
}

function bodyOf(d: Draft): Body {
  const text = (name: string) => (d[name] ? String(d[name]) : null);
  const ssf = d["kind"] === "ssf" && {
    issuer: text("ssf/issuer") ?? "",
    audience: text("ssf/audience") ?? "",
    jwks_uri: text("ssf/jwks_uri"),
    jwks: text("ssf/jwks") ? (json(text("ssf/jwks") ?? "") as Record<string, never>) : null,
    poll_url: text("ssf/poll_url"),
    assured_by: (d["ssf/assured_by"] as string[] | undefined) ?? [],
    assured_for_s: Number(d["ssf/assured_for_s"] ?? 0),
  };
  return {
    name: text("name") ?? "",
    label: text("label") ?? "",
    kind: String(d["kind"]),
    silent_after_s: d["silent_after_s"] == null ? null : Number(d["silent_after_s"]),
    ...(d["kind"] === "scim" ? { groups: groupsOf(text("groups") ?? "") } : {}),
    ...(ssf ? { ssf } : {}),
    ...(ssf && text("poll_token") ? { poll_token: text("poll_token") ?? "" } : {}),
  };
}

/** What is no JSON goes as it is: the API says at the field that these are no keys. */
function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export default function Sources() {
  const t = useT();
  const of = useMemo<ResourceOf<Source>>(() => {
    const ssf = (d: Draft) => d["kind"] === "ssf";
    const one = (name: string) => ({ path: { name } });
    const kinds = (["webhook", "ssf", "scim"] as const).map((k) => ({ value: k, label: t.sources.kinds[k] }));
    return {
      name: "sources",
      title: t.nav.sources,
      needs: "signals",
      id: (s) => s.name,
      empty: t.sources.empty,
      columns: [
        { id: "name", head: t.fields.name, cell: (s) => s.name, by: (s) => s.name, width: 130 },
        { id: "state", head: t.fields.state, cell: (s) => <Health source={s} />, by: (s) => String(s.silent), width: 140 },
        { id: "success", head: t.sources.success, cell: (s) => <Success source={s} />, by: (s) => s.last_success ?? "", width: 270 },
        { id: "kind", head: t.fields.kind, cell: (s) => word(t.sources.kinds, s.kind), by: (s) => s.kind, width: 170 },
        { id: "accepted", head: t.sources.accepted, cell: (s) => s.accepted, by: (s) => s.accepted, width: 90 },
        { id: "refused", head: t.sources.refused, cell: (s) => s.refused, by: (s) => s.refused, width: 90 },
        { id: "error", head: t.sources.error, cell: (s) => s.error, by: (s) => s.error ?? "", width: 220 },
        { id: "label", head: t.fields.label, cell: (s) => s.label, by: (s) => s.label, width: 160 },
      ],
      fields: [
        { name: "name", label: t.fields.name, required: true, fixed: true, help: t.lists.idHelp },
        { name: "kind", label: t.fields.kind, kind: "choice", choices: kinds, fixed: true, help: t.sources.kindHelp },
        { name: "label", label: t.fields.label },
        { name: "silent_after_s", label: t.sources.silentAfter, kind: "number", help: t.sources.silentHelp },
        { name: "groups", label: t.sources.groups, kind: "long", help: t.sources.groupsHelp, when: (d) => d["kind"] === "scim" },
        { name: "ssf/issuer", label: t.sources.issuer, required: true, when: ssf },
        { name: "ssf/audience", label: t.sources.audience, required: true, when: ssf },
        { name: "ssf/jwks_uri", label: t.sources.jwksUri, when: ssf },
        { name: "ssf/jwks", label: t.sources.jwks, kind: "long", when: ssf },
        { name: "ssf/poll_url", label: t.sources.pollUrl, help: t.sources.pollHelp, when: ssf },
        { name: "poll_token", label: t.sources.pollToken, help: t.sources.pollTokenHelp, kind: "secret", when: (d) => ssf(d) && Boolean(d["ssf/poll_url"]) },
        { name: "ssf/assured_by", label: t.sources.assuredBy, kind: "words", help: t.sources.assuredByHelp, when: ssf },
        { name: "ssf/assured_for_s", label: t.sources.assuredFor, kind: "number", when: ssf },
      ],
      fresh: { name: "", kind: "webhook", label: "", silent_after_s: 7200, "ssf/assured_by": [], "ssf/assured_for_s": 28800 },
      list: async (filter, cursor) => {
        const page = await must(api.GET("/api/v1/posture/sources", { params: { query: paged(filter, cursor) } }));
        return { ...page, items: page.items.map(flat) };
      },
      get: async (name) => flat(await must(api.GET("/api/v1/posture/sources/{name}", { params: one(name) }))),
      create: async (d) => {
        const { secret, ...made } = await must(api.POST("/api/v1/posture/sources", { params: { header: once() }, body: bodyOf(d) }));
        return { ...flat(made), secret };
      },
      secret: (s) => s["secret"] as string | null | undefined,
      replace: async (name, v, d) =>
        flat(await must(api.PUT("/api/v1/posture/sources/{name}", { params: { ...one(name), header: ifMatch(v) }, body: bodyOf(d) }))),
      remove: (name, v) => must(api.DELETE("/api/v1/posture/sources/{name}", { params: { ...one(name), header: ifMatch(v) } })),
      above: (s) => <More source={s} />,
    };
  }, [t]);
  return <Resource of={of} />;
}

function Health({ source: s }: { source: Source }) {
  const t = useT();
  if (s.silent) return <Pill value="bad" text={t.sources.silent} />;
  return s.last_success ? <Pill value="good" text={t.sources.alive} /> : <Pill value="unknown" text={t.sources.waitingFor} />;
}

function Success({ source: s }: { source: Source }) {
  const t = useT();
  const f = useFormat();
  const now = useNow();
  if (!s.last_success) return <>{t.sources.never}</>;
  return (
    <>
      <When at={s.last_success} /> ({t.known.ago(f.span(now - Date.parse(s.last_success)))})
    </>
  );
}

function More({ source: s }: { source: Source }) {
  const t = useT();
  const may = useMay();
  const [asking, setAsking] = useState(false);
  const [secret, setSecret] = useState<string>();
  const act = useAct({
    run: () => must(api.POST("/api/v1/posture/sources/{name}/secret", { params: { path: { name: s.name }, header: once() } })),
    touches: ["sources"],
    after: (made) => {
      setSecret(made.secret);
      setAsking(false);
    },
  });
  return (
    <Stack gap="sm">
      <Facts
        facts={[
          [t.fields.state, <Health key="h" source={s} />],
          [t.sources.success, <Success key="s" source={s} />],
          [t.sources.failure, <When key="f" at={s.last_failure} />],
          [t.sources.error, s.error],
          [t.sources.accepted, s.accepted],
          [t.sources.refused, s.refused],
          [t.sources.address, s.address && `${location.origin}${s.address}`],
          [t.sources.stream, s.stream],
        ]}
      />
      {secret && <Once text={secret} />}
      {s.kind === "webhook" && may("signals") && (
        <div>
          <Button size="xs" variant="default" onClick={() => setAsking(true)}>
            {t.sources.secret}
          </Button>
        </div>
      )}
      {asking && (
        <ReasonDialog plain title={t.sources.secret} action={t.sources.secret} act={act} close={() => setAsking(false)}>
          <Text size="sm">{t.sources.secretSure(s.name)}</Text>
        </ReasonDialog>
      )}
    </Stack>
  );
}
