// Templates and where they are used: a department gets its rules by naming a template and saying what its parameters are.
// What comes of it is planned and applied like every other change of the policy.

import { Button, Group, Loader, Modal, NumberInput, Stack, Table, TagsInput, Text, TextInput, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api, must } from "../../api/client";
import { Screen, To } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { useLanguage, useT } from "../../i18n";
import { Apply, body } from "./Apply";
import { PlanView } from "./Plan";
import { useStored } from "./PolicyFile";
import { kindOf, modelOf, withoutUse, withUse, type Model, type Template, type Use } from "./templates";
import "./editor.css";

export default function Templates() {
  const t = useT();
  const stored = useStored();
  return (
    <Screen title={t.nav.templates}>
      {stored.error && <Fault error={stored.error} again={() => void stored.refetch()} />}
      {stored.data ? <All model={modelOf(stored.data)} /> : !stored.error && <Loader className="waiting" />}
    </Screen>
  );
}

/** What is being written: a use of a template, or the end of one. */
type Doing = { template: Template; use?: Use } | { remove: Use };

function All({ model }: { model: Model }) {
  const t = useT();
  const may = useMay()("policy");
  const [doing, setDoing] = useState<Doing>();
  if (model.templates.length === 0) {
    return (
      <Text>
        {t.templates.none} <To href="/policy">{t.templates.toFile}</To>
      </Text>
    );
  }
  return (
    <>
      {model.templates.map((template) => (
        <One key={template.name} template={template} uses={model.uses.filter((u) => u.template === template.name)} may={may} act={setDoing} />
      ))}
      {doing && <Change model={model} doing={doing} close={() => setDoing(undefined)} />}
    </>
  );
}

function One({ template, uses, may, act }: { template: Template; uses: Use[]; may: boolean; act: (d: Doing) => void }) {
  const t = useT();
  const parameters = template.parameters ?? [];
  return (
    <section aria-label={template.name} data-template={template.name}>
      <Group gap="xs">
        <Title order={2} size="h4">
          {template.name}
        </Title>
        <Text size="sm" c="dimmed">
          {[template.label, t.templates.rulesOf(template.rules?.length ?? 0)].filter(Boolean).join(" · ")}
        </Text>
        {may && (
          <Button size="compact-sm" variant="default" onClick={() => act({ template })}>
            {t.templates.useOf(template.name)}
          </Button>
        )}
      </Group>
      {uses.length === 0 ? (
        <Text size="sm">{t.templates.noUses}</Text>
      ) : (
        <Table captionSide="top">
          <Table.Caption>{t.templates.uses}</Table.Caption>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t.fields.name}</Table.Th>
              {parameters.map((p) => (
                <Table.Th key={p}>{p}</Table.Th>
              ))}
              {may && <Table.Th>{t.fields.action}</Table.Th>}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {uses.map((use) => (
              <Table.Tr key={use.name}>
                <Table.Td>
                  {use.name}
                </Table.Td>
                {parameters.map((p) => (
                  <Table.Td key={p}>{said(use.with?.[p])}</Table.Td>
                ))}
                {may && (
                  <Table.Td>
                    <Group gap={6}>
                      <Button size="compact-xs" variant="default" onClick={() => act({ template, use })} aria-label={`${t.templates.change} ${use.name}`}>
                        {t.templates.change}
                      </Button>
                      <Button
                        size="compact-xs"
                        variant="default"
                        className="danger"
                        onClick={() => act({ remove: use })}
                      >
                        {t.templates.removeOf(use.name)}
                      </Button>
                    </Group>
                  </Table.Td>
                )}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </section>
  );
}

function said(v: unknown): string {
  if (v === undefined || v === null) return "–";
  return Array.isArray(v) ? v.join(", ") : String(v);
}

/** The change is written, seen as a plan, and applied, in one window. */
function Change({ model, doing, close }: { model: Model; doing: Doing; close: () => void }) {
  const t = useT();
  const removing = "remove" in doing;
  const [draft, setDraft] = useState<Use>(removing ? doing.remove : (doing.use ?? { name: "", template: doing.template.name, with: {} }));
  const [applying, setApplying] = useState(false);
  const { language } = useLanguage();
  const plan = useMutation({
    mutationFn: async (policy: Model) => ({ policy, language, plan: await must(api.POST("/api/v1/policies/plan", { body: body({ policy }) })) }),
    gcTime: 0,
  });
  const next = () => (removing ? withoutUse(model, doing.remove.name) : withUse(model, draft, doing.use?.name));
  const set = (d: Use) => {
    setDraft(d);
    plan.reset();
  };
  const look = (e: FormEvent) => {
    e.preventDefault();
    plan.mutate(next());
  };
  const seen = plan.data?.language === language ? plan.data : undefined;
  const title = removing ? t.templates.removeOf(doing.remove.name) : t.templates.useOf(doing.template.name);
  return (
    <Modal opened onClose={close} size="lg" title={title} closeButtonProps={{ "aria-label": t.frame.close }}>
      <form onSubmit={look}>
        <Stack gap="sm">
          {!removing && <Fields model={model} template={doing.template} draft={draft} set={set} />}
          {plan.error && <Fault error={plan.error} />}
          {seen && !plan.error && <PlanView plan={seen.plan} outdated={false} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t.frame.cancel}
            </Button>
            <Button type="submit" loading={plan.isPending}>
              {t.policy.plan}
            </Button>
            <Button color="red" disabled={!seen || seen.plan.unchanged || seen.plan.tests.failed > 0} onClick={() => setApplying(true)}>
              {t.policy.apply}
            </Button>
          </Group>
        </Stack>
      </form>
      {applying && seen && <Apply what={{ policy: seen.policy }} generation={seen.plan.generation} close={() => setApplying(false)} done={close} />}
    </Modal>
  );
}

function Fields({ model, template, draft, set }: { model: Model; template: Template; draft: Use; set: (d: Use) => void }) {
  const t = useT();
  const write = (name: string, value: unknown) => set({ ...draft, with: { ...draft.with, [name]: value } });
  return (
    <>
      <TextInput
        data-autofocus
        label={t.templates.name}
        description={t.templates.nameHelp}
        required
        value={draft.name}
        onChange={(e) => set({ ...draft, name: e.currentTarget.value })}
      />
      {(template.parameters ?? []).map((p) => {
        const value = draft.with?.[p];
        switch (kindOf(template, p, model.templates)) {
          case "list":
            return (
              <TagsInput
                key={p}
                label={p}
                description={t.templates.list}
                required
                value={Array.isArray(value) ? value.map(String) : value === undefined ? [] : [String(value)]}
                splitChars={[",", ";", " ", "、"]}
                onChange={(v) => write(p, v)}
                acceptValueOnBlur
              />
            );
          case "number":
            return <NumberInput key={p} label={p} required hideControls value={typeof value === "number" ? value : ""} onChange={(v) => write(p, v === "" ? undefined : Number(v))} />;
          default:
            return <TextInput key={p} label={p} required value={value === undefined ? "" : said(value)} onChange={(e) => write(p, e.currentTarget.value)} />;
        }
      })}
    </>
  );
}
