// What can be pressed on a SIM, given its state and one's rights. Each says first what will happen.

import { Button, Group, Modal, Text } from "@mantine/core";
import { useState } from "react";
import { Link } from "wouter";
import { api, ifMatch, must, once, type Schemas } from "../../api/client";
import { Form, type Draft, type Field } from "../../form/Form";
import { useAct } from "../../frame/act";
import { useMay } from "../../frame/me";
import { ReasonDialog, type Reason } from "../../frame/ReasonDialog";
import { useT } from "../../i18n";
import { to } from "../../url/state";

type Sim = Schemas["Sim"];
type Kind = "suspend" | "resume" | "retire" | "unban" | "quarantine" | "release";
const STATE = { suspend: "suspended", resume: "active", retire: "retired" } as const;
const TOUCHED = ["sims", "sessions", "timeline", "revocations", "system"] as const;

export function SimActions({ sim }: { sim: Sim }) {
  const t = useT();
  const may = useMay();
  const [asking, setAsking] = useState<Kind | "edit">();
  const banned = sim.state === "lost" || sim.state === "stolen";
  const gone = sim.state === "retired";
  const buttons: [Kind | "edit", boolean][] = [
    ["edit", may("provision") && !gone],
    ["suspend", may("provision") && (sim.state === "active" || sim.state === "ready")],
    ["resume", may("provision") && sim.state === "suspended"],
    ["quarantine", may("quarantine") && !banned && !gone],
    ["release", may("quarantine") && !banned && !gone],
    ["unban", may("unban") && banned],
    ["retire", may("provision") && !gone && !banned],
  ];
  return (
    <Group gap="xs">
      {may("ban") && !banned && !gone && (
        <Button size="xs" color="red" component={Link} href={to("/lost", { q: sim.imsi })}>
          {t.sim.lost}
        </Button>
      )}
      {buttons
        .filter(([, shown]) => shown)
        .map(([kind]) => (
          <Button key={kind} size="xs" variant="default" onClick={() => setAsking(kind)}>
            {t.sim[kind]}
          </Button>
        ))}
      {asking === "edit" && <Edit sim={sim} close={() => setAsking(undefined)} />}
      {asking && asking !== "edit" && <Ask sim={sim} kind={asking} close={() => setAsking(undefined)} />}
    </Group>
  );
}

function Ask({ sim, kind, close }: { sim: Sim; kind: Kind; close: () => void }) {
  const t = useT();
  const path = { imsi: sim.imsi };
  const act = useAct({
    run: async (why: Reason): Promise<string> => {
      const params = { path, header: once() };
      const ticket = why.ticket ?? "";
      switch (kind) {
        case "unban": {
          const answer = await must(api.POST("/api/v1/sims/{imsi}/unban", { params, body: why }));
          return "expires" in answer ? t.sim.asked : t.frame.done;
        }
        case "quarantine":
          await must(api.POST("/api/v1/sims/{imsi}/quarantine", { params, body: { reason: why.reason, ticket } }));
          return t.frame.done;
        case "release":
          await must(api.POST("/api/v1/sims/{imsi}/quarantine/release", { params, body: { reason: why.reason, ticket } }));
          return t.frame.done;
        default:
          await must(api.POST("/api/v1/sims/{imsi}/state", { params, body: { state: STATE[kind], ...why } }));
          return t.frame.done;
      }
    },
    done: (said) => said,
    touches: TOUCHED,
    after: close,
    fields: ["reason", "ticket"],
  });
  const what: Partial<Record<Kind, string>> = {
    suspend: t.sim.suspendWhat,
    retire: t.sim.retireWhat,
    unban: t.sim.unbanWhat,
    quarantine: t.sim.quarantineWhat,
  };
  const digits = sim.imsi.slice(-4);
  return (
    <ReasonDialog
      title={`${t.sim[kind]}: ${[sim.imsi, sim.label].filter(Boolean).join(" · ")}`}
      action={t.sim[kind]}
      act={act}
      close={close}
      danger={kind === "retire" || kind === "suspend"}
      typed={kind === "retire" ? { label: t.sim.retireType(digits), text: digits } : undefined}
    >
      {what[kind] && <Text size="sm">{what[kind]}</Text>}
    </ReasonDialog>
  );
}

const EDITED = ["label", "iccid", "person", "device_id", "site", "groups", "dnns", "device", "ambr_ul_bps", "ambr_dl_bps"] as const;

function Edit({ sim, close }: { sim: Sim; close: () => void }) {
  const t = useT();
  const [version, setVersion] = useState(sim.version);
  const [theirs, setTheirs] = useState<Draft>();
  const fields: Field[] = [
    { name: "label", label: t.fields.label },
    { name: "iccid", label: t.fields.iccid },
    { name: "person", label: t.fields.person },
    { name: "device_id", label: t.fields.device },
    { name: "site", label: t.fields.site },
    { name: "groups", label: t.fields.groups, kind: "words" },
    { name: "dnns", label: t.fields.dnns, kind: "words" },
    { name: "device", label: t.fields.boundDevice },
    { name: "ambr_ul_bps", label: `${t.fields.ambr} ↑ bit/s`, kind: "number" },
    { name: "ambr_dl_bps", label: `${t.fields.ambr} ↓ bit/s`, kind: "number" },
  ];
  const save = async (draft: Draft, at: number) => {
    // Only what differs is sent: a field that was not touched here may be changed elsewhere.
    const body = Object.fromEntries(
      EDITED.filter((k) => JSON.stringify(draft[k] ?? "") !== JSON.stringify(sim[k] ?? "")).map((k) => [k, draft[k] ?? ""]),
    ) as Schemas["SimChange"];
    try {
      await must(api.PATCH("/api/v1/sims/{imsi}", { params: { path: { imsi: sim.imsi }, header: ifMatch(at) }, body }));
    } catch (e) {
      const now = await must(api.GET("/api/v1/sims/{imsi}", { params: { path: { imsi: sim.imsi } } }));
      if (now.version !== at) {
        setVersion(now.version);
        setTheirs(now);
      }
      throw e;
    }
  };
  const act = useAct({
    run: (d: Draft) => save(d, version),
    done: t.form.saved,
    touches: TOUCHED,
    after: close,
    fields: EDITED,
    conflict: true,
  });
  return (
    <Modal opened onClose={close} size="lg" title={sim.imsi} closeButtonProps={{ "aria-label": t.frame.close }}>
      <Form fields={fields} first={sim} existing act={act} action={t.frame.save} theirs={theirs} overwrite={act.go} onCancel={close} />
    </Modal>
  );
}
