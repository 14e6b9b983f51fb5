// What is known of a SIM at this moment: the facts that rules with conditions judge by, each with its source and its age.
// What nobody knows is said as plainly as what is known.

import { Button, Group, Modal, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ifMatch, must, type Schemas } from "../../api/client";
import { Form, type Draft } from "../../form/Form";
import { useAct } from "../../frame/act";
import { Age } from "../../frame/Age";
import { Pill, To } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { useLanguage, useT, word, type Messages } from "../../i18n";
import { to } from "../../url/state";
import { Health } from "./Health";
import { Origin } from "./Origin";
import "./known.css";

type Fact = Schemas["Fact"];

/** What is known of a SIM. The words come from the server, so they are read again in the other language. */
export function useFacts(imsi: string) {
  const { language } = useLanguage();
  return useQuery({
    queryKey: ["facts", "sim", imsi, language],
    queryFn: () => must(api.GET("/api/v1/sims/{imsi}/facts", { params: { path: { imsi } } })),
    refetchInterval: 10_000,
  });
}

export function Known({ sim }: { sim: Schemas["Sim"] }) {
  const t = useT();
  const q = useFacts(sim.imsi);
  const device = q.data?.facts.find((f) => f.fact === "device")?.value;
  return (
    <section aria-label={t.known.title}>
      <Group mt="lg" mb="xs" gap="sm">
        <Title order={2} size="h4">
          {t.known.title}
        </Title>
        {q.data && <Age at={q.dataUpdatedAt} again={() => void q.refetch()} busy={q.isFetching} />}
      </Group>
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      <ul className="known">
        {q.data?.facts.map((f) => (
          <li key={f.fact} data-fact={f.fact} data-known={f.value !== null}>
            <span className="known-name">{word(t.known.facts, f.fact)}</span>
            <span className="known-value">
              <Value fact={f} />
              <Origin source={f.source} since={f.since} until={f.until} />
            </span>
          </li>
        ))}
        <UsualSites imsi={sim.imsi} />
      </ul>
      {device && <Health device={device} groups={sim.groups} level={3} />}
    </section>
  );
}

const LINKS: Record<string, string> = { person: "/people", device: "/devices" };

/** A fact's short word with its colour, and what else there is to say of it. */
export function Value({ fact: f }: { fact: Fact }) {
  const t = useT();
  const link = LINKS[f.fact];
  if (f.value == null) {
    return (
      <>
        <Pill value="unknown" text={t.known.unknown} /> {f.words !== t.known.unknown && f.words}
      </>
    );
  }
  if (link) return <To href={to(link, { open: f.value })}>{f.value}</To>;
  const pill = pillOf(f, t);
  if (!pill) return <>{f.words}</>;
  // The words begin with what the pill says.
  const rest = f.words.startsWith(pill.text) ? f.words.slice(pill.text.length).replace(/^[:;] /, "") : f.words;
  return (
    <>
      <Pill {...pill} /> {rest}
    </>
  );
}

/** The pill of a fact whose word is of a closed list. */
export function pillOf(f: Fact, t: Messages) {
  if (f.fact === "posture") return f.value === "compliant" ? { value: "good", text: t.known.compliant } : { value: "bad", text: t.known.not_compliant };
  if (f.fact === "assurance") return f.value === "yes" ? { value: "good", text: t.known.assured } : { value: "warn", text: t.known.notAssured };
  if (f.fact === "risk" || f.fact === "risk-score") return { value: f.value ?? "", text: word(t.conditions.values, f.value) };
  return undefined;
}

function UsualSites({ imsi }: { imsi: string }) {
  const t = useT();
  const may = useMay();
  const [editing, setEditing] = useState(false);
  const path = { imsi };
  const q = useQuery({
    queryKey: ["sims", "usual-sites", imsi],
    queryFn: async () => {
      const call = api.GET("/api/v1/sims/{imsi}/usual-sites", { params: { path } });
      const { sites } = await must(call);
      return { sites, version: Number((await call).response.headers.get("etag")?.replace(/\D/g, "") ?? 0) };
    },
  });
  const act = useAct({
    run: (d: Draft) => {
      const body = { sites: (d["sites"] as string[] | undefined) ?? [] };
      return must(api.PUT("/api/v1/sims/{imsi}/usual-sites", { params: { path, header: ifMatch(q.data?.version ?? 0) }, body }));
    },
    done: t.form.saved,
    touches: ["sims", "facts"],
    after: () => setEditing(false),
    fields: ["sites"],
  });
  if (!q.data) return null;
  return (
    <li>
      <span className="known-name">{t.known.usual}</span>
      <span className="known-value">
        {q.data.sites.map((s) => (
          <span key={s}>
            <To href={to("/sites", { open: s })}>{s}</To>{" "}
          </span>
        ))}
        {q.data.sites.length === 0 && t.known.noUsual}{" "}
        {may("directory") && (
          <Button size="compact-xs" variant="default" onClick={() => setEditing(true)} aria-label={`${t.known.change}: ${t.known.usual}`}>
            {t.known.change}
          </Button>
        )}
      </span>
      {editing && (
        <Modal opened onClose={() => setEditing(false)} title={`${t.known.usual}: ${imsi}`} closeButtonProps={{ "aria-label": t.frame.close }}>
          <Form
            fields={[{ name: "sites", label: t.known.usual, kind: "words", help: t.known.usualHelp }]}
            first={{ sites: q.data.sites }}
            existing
            act={act}
            action={t.frame.save}
            onCancel={() => setEditing(false)}
          />
        </Modal>
      )}
    </li>
  );
}
