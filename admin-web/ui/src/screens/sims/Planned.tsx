// What will happen to a SIM by itself: planned changes of its state and the end of its contract, each of which can be
// taken back until then.

import { Button, Group, Modal, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, must, once, type Schemas } from "../../api/client";
import { Form, type Draft, type Field } from "../../form/Form";
import { useAct } from "../../frame/act";
import { To, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { useT, word } from "../../i18n";
import { to } from "../../url/state";

type Kind = "plan" | "end";

export function Planned({ sim }: { sim: Schemas["Sim"] }) {
  const t = useT();
  const may = useMay();
  const [asking, setAsking] = useState<Kind>();
  const imsi = sim.imsi;
  const q = useQuery({
    queryKey: ["schedules", "sim", imsi],
    queryFn: () => must(api.GET("/api/v1/sims/{imsi}/schedule", { params: { path: { imsi } } })),
  });
  const planned = q.data?.items.filter((s) => s.state === "waiting") ?? [];
  return (
    <section>
      <Title order={2} size="h4" mt="lg" mb="xs">
        {t.sim.planned}
      </Title>
      {q.error && <Fault error={q.error} />}
      <ul className="news">
        {planned.map((s) => (
          <li key={s.id}>
            <When at={s.at} />
            <To href={to("/schedules", { open: String(s.id) })}>{word(t.words, s.action)}</To> {s.reason} ({s.actor})
          </li>
        ))}
      </ul>
      {q.isSuccess && planned.length === 0 && <Text size="sm">{t.sim.noPlanned}</Text>}
      {may("provision") && sim.state !== "retired" && (
        <Group gap="xs" mt="xs">
          <Button size="xs" variant="default" onClick={() => setAsking("plan")}>
            {t.sim.plan}
          </Button>
          <Button size="xs" variant="default" onClick={() => setAsking("end")}>
            {t.sim.endDate}
          </Button>
        </Group>
      )}
      {asking && <Plan imsi={imsi} kind={asking} close={() => setAsking(undefined)} />}
    </section>
  );
}

function Plan({ imsi, kind, close }: { imsi: string; kind: Kind; close: () => void }) {
  const t = useT();
  const params = { path: { imsi }, header: once() };
  const act = useAct({
    run: async (d: Draft) => {
      const words = { reason: String(d["reason"] ?? ""), ticket: d["ticket"] ? String(d["ticket"]) : null };
      const at = d["at"] ? String(d["at"]) : null;
      if (kind === "end") await must(api.POST("/api/v1/sims/{imsi}/end-date", { params, body: { at, ...words } }));
      else await must(api.POST("/api/v1/sims/{imsi}/schedule", { params, body: { at: at ?? "", action: String(d["action"]), ...words } }));
    },
    done: t.form.saved,
    touches: ["schedules"],
    after: close,
    fields: ["at", "action", "reason", "ticket"],
  });
  const actions = (["suspend", "resume", "retire"] as const).map((a) => ({ value: a, label: t.words[a] }));
  const fields: Field[] = [
    ...(kind === "plan" ? [{ name: "action", label: t.fields.action, kind: "choice", choices: actions } satisfies Field] : []),
    { name: "at", label: t.form.time, kind: "time", required: kind === "plan", ...(kind === "end" ? { help: t.sim.endDateHelp } : {}) },
    { name: "reason", label: t.frame.reason, required: true },
    { name: "ticket", label: t.frame.ticket },
  ];
  const title = kind === "plan" ? t.sim.plan : t.sim.endDate;
  return (
    <Modal opened onClose={close} title={`${title}: ${imsi}`} closeButtonProps={{ "aria-label": t.frame.close }}>
      <Form fields={fields} first={{ action: "suspend", at: null, reason: "" }} existing={false} act={act} action={t.frame.save} onCancel={close} />
    </Modal>
  );
}
