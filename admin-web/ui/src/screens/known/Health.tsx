// A device's health: each item with its value, its source and its age, what is missing or too old said plainly, and a form
// to tell it by hand.

import { Button, Modal, Text, Title } from "@mantine/core";
import { useQueries, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ifMatch, must, type Schemas } from "../../api/client";
import { problemOf } from "../../api/problem";
import { Form, type Draft, type Field } from "../../form/Form";
import { useAct } from "../../frame/act";
import { Pill } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { useT } from "../../i18n";
import { CHECKS, items, type Check, type Item } from "./health";
import { Origin } from "./Origin";
import "./known.css";

const TONE = { good: "good", bad: "bad", told: "info", stale: "warn", missing: "warn" } as const;
const SYSTEMS = ["windows", "macos", "ios", "android", "chromeos", "linux", "other"];

/** What the groups of a SIM ask of its device; a group that one may not read asks nothing here. */
function useAsked(groups: readonly string[]): Schemas["PostureRequirement"][] {
  return useQueries({
    queries: groups.map((name) => ({
      queryKey: ["groups", "one", name],
      queryFn: () => must(api.GET("/api/v1/groups/{name}", { params: { path: { name } } })),
      retry: false,
    })),
    combine: (all) => all.flatMap((q) => q.data?.posture ?? []),
  });
}

export function Health({ device, groups, level }: { device: string; groups: readonly string[]; level: 2 | 3 }) {
  const t = useT();
  const may = useMay();
  const [telling, setTelling] = useState(false);
  const asked = useAsked(groups);
  const q = useQuery({
    queryKey: ["facts", "posture", device],
    queryFn: () => must(api.GET("/api/v1/posture/{device}", { params: { path: { device } } })),
    refetchInterval: 15_000,
  });
  // Who is limited to groups or sites may not read it.
  if (q.error && problemOf(q.error).status === 403) return null;
  const all = q.data ? items(q.data.facts, asked) : [];
  return (
    <section className="health" aria-label={t.known.healthOf(device)}>
      <Title order={level} size="h5" mt="md" mb={4}>
        {t.known.healthOf(device)}
      </Title>
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      {q.data?.facts.length === 0 && <Text size="sm">{t.known.nobodyTold}</Text>}
      <ul className="known">
        {all.map((i) => (
          <HealthItem key={i.check} item={i} />
        ))}
      </ul>
      {q.data && may("posture") && (
        <Button size="xs" variant="default" mt="xs" onClick={() => setTelling(true)}>
          {t.known.tell}
        </Button>
      )}
      {telling && q.data && <Tell device={device} version={q.data.version} close={() => setTelling(false)} />}
    </section>
  );
}

function HealthItem({ item: i }: { item: Item }) {
  const t = useT();
  const words = { good: t.known.good, bad: t.known.bad, told: i.told?.os ?? "", stale: t.known.stale, missing: t.known.missing };
  return (
    <li data-check={i.check} data-state={i.state}>
      <span className="known-name">
        {t.known.checks[i.check]}
        {i.asked && <small> ({t.known[i.asked]})</small>}
      </span>
      <span className="known-value">
        <Pill value={TONE[i.state]} text={words[i.state]} />
        {i.state === "stale" && i.told && <span> {i.told.os ?? t.known[i.told.good ? "good" : "bad"]}</span>}
        {i.least && <span> ({t.known.atLeast(i.least)})</span>}
        {i.told && <Origin source={i.told.source} since={i.told.at} />}
      </span>
    </li>
  );
}

/** Fields of the API by their checks; one counts the other way round. */
const BODY: Record<Exclude<Check, "os-version">, keyof Schemas["PostureBody"]> = {
  "disk-encryption": "disk_encryption",
  firewall: "firewall",
  antivirus: "antivirus",
  "screen-lock": "screen_lock",
  jailbreak: "jailbroken",
  managed: "managed",
};

function Tell({ device, version, close }: { device: string; version: number; close: () => void }) {
  const t = useT();
  const yesNo = (["", "yes", "no"] as const).map((v) => ({ value: v, label: t.known.is[v] }));
  const checks = CHECKS.filter((c) => c !== "os-version");
  const fields: Field[] = [
    { name: "os/name", label: t.known.os, kind: "choice", choices: [{ value: "", label: t.known.is[""] }, ...SYSTEMS.map((s) => ({ value: s, label: s }))] },
    { name: "os/version", label: t.known.version, when: (d) => Boolean(d["os/name"]) },
    ...checks.map((c): Field => ({ name: BODY[c], label: c === "jailbreak" ? t.known.jailbroken : t.known.checks[c], kind: "choice", choices: yesNo })),
    { name: "observed_at", label: t.known.observed, kind: "time" },
  ];
  const act = useAct({
    run: (d: Draft) =>
      must(api.PUT("/api/v1/posture/{device}", { params: { path: { device }, header: ifMatch(version) }, body: bodyOf(d) })),
    done: t.known.told,
    touches: ["facts", "rules"],
    after: close,
    fields: fields.map((x) => x.name),
  });
  // What tells nothing is refused as a whole, at no field.
  const nothing = act.fault("");
  return (
    <Modal opened onClose={close} title={`${t.known.tell}: ${device}`} closeButtonProps={{ "aria-label": t.frame.close }}>
      <Text size="sm" mb="sm">
        {t.known.tellHelp}
      </Text>
      {nothing && (
        <Text size="sm" className="danger" role="alert">
          {nothing}
        </Text>
      )}
      <Form fields={fields} first={{}} existing={false} act={act} action={t.frame.save} onCancel={close} />
    </Modal>
  );
}

function bodyOf(d: Draft): Schemas["PostureBody"] {
  const told = Object.values(BODY).flatMap((name) => (d[name] ? [[name, d[name] === "yes"] as const] : []));
  return {
    ...Object.fromEntries(told),
    ...(d["os/name"] ? { os: { name: String(d["os/name"]), version: String(d["os/version"] ?? "") } } : {}),
    ...(d["observed_at"] ? { observed_at: String(d["observed_at"]) } : {}),
  };
}
