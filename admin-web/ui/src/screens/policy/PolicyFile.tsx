// The policy as a file: looked at, edited or uploaded, held against what there is, and put in force. Nothing is in force
// before somebody has seen what it would change.

import { Button, FileButton, Group, Loader, Text } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { api, must, type Schemas } from "../../api/client";
import { problemOf, type FieldFault } from "../../api/problem";
import { useAct } from "../../frame/act";
import { Pill } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { ReasonDialog } from "../../frame/ReasonDialog";
import { useLanguage, useT } from "../../i18n";
import { saveFile } from "../../url/save";
import { Apply } from "./Apply";
import { keepDraft, keptDraft, type DraftText } from "./draft";
import { Editor, type EditorHandle } from "./Editor";
import { PlanView } from "./Plan";
import { Replay } from "./Replay";

/** Errors that are listed. */
const LINES = 100;
/** Id of the list of errors, which the editor names as its description. */
const FAULTS = "policy-faults";

export function useStored() {
  return useQuery({ queryKey: ["rules", "text"], queryFn: () => must(api.GET("/api/v1/policies/text")), refetchInterval: 15_000 });
}

export function PolicyFile() {
  const stored = useStored();
  if (stored.error) return <Fault error={stored.error} again={() => void stored.refetch()} />;
  return stored.data ? <File stored={stored.data} /> : <Loader className="waiting" />;
}

function File({ stored }: { stored: Schemas["PolicyTextAnswer"] }) {
  const t = useT();
  const may = useMay()("policy");
  const editor = useRef<EditorHandle>(null);
  const [draft, setDraft] = useState(keptDraft);
  const [asking, setAsking] = useState<"apply" | "discard">();
  const text = draft?.text ?? stored.text;
  const change = (d: DraftText | undefined) => {
    keepDraft(d);
    setDraft(d);
  };
  const set = (next: string) => change(next === stored.text ? undefined : { text: next, base: draft?.base ?? stored.generation });
  const plan = usePlan();
  const { language } = useLanguage();
  const seen = plan.data && plan.data.language === language ? plan.data : undefined;
  const faults = plan.error && plan.variables === text ? problemOf(plan.error).faults : [];
  const upload = async (f: globalThis.File | null) => {
    if (!f) return;
    const words = (await f.text()).replace(/\r\n/g, "\n");
    set(words);
    plan.mutate(words);
  };
  const discard = useAct({
    run: async () => {
      change(undefined);
      plan.reset();
    },
    after: () => setAsking(undefined),
  });
  const ready = seen !== undefined && seen.text === text && !seen.plan.unchanged && seen.plan.tests.failed === 0;
  return (
    <>
      <Group gap="xs">
        <FileButton onChange={(f) => void upload(f)} accept=".toml,text/plain" inputProps={{ "aria-label": t.policy.upload }}>
          {(props) => (
            <Button {...props} size="xs" variant="default">
              {t.policy.upload}
            </Button>
          )}
        </FileButton>
        <Button size="xs" variant="default" onClick={() => saveFile("policy.toml", text, "application/toml")}>
          {t.policy.download}
        </Button>
        <Button size="xs" variant="default" disabled={!draft} onClick={() => setAsking("discard")}>
          {t.policy.discard}
        </Button>
        <Button size="xs" onClick={() => plan.mutate(text)} loading={plan.isPending}>
          {t.policy.plan}
        </Button>
        {may && (
          <Button size="xs" color="red" disabled={!ready} onClick={() => setAsking("apply")}>
            {t.policy.apply}
          </Button>
        )}
        <Pill value={draft ? "warn" : "good"} text={draft ? t.policy.draft : t.policy.stored(stored.generation)} />
      </Group>
      {draft && draft.base !== stored.generation && (
        <Text size="sm" role="note" className="old">
          {t.policy.moved(draft.base, stored.generation)}
        </Text>
      )}
      <Editor
        ref={editor}
        label={t.policy.editor}
        text={text}
        set={set}
        readOnly={false}
        marks={faults.flatMap((f) => (f.place ? [{ ...f.place, words: said(f) }] : []))}
        describedBy={FAULTS}
      />
      {plan.error && (plan.variables === text || problemOf(plan.error).faults.length === 0) && (
        <Faults error={plan.error} faults={faults} jump={(f) => f.place && editor.current?.jump(f.place.line, f.place.column)} />
      )}
      {seen && !plan.error && <PlanView plan={seen.plan} outdated={seen.text !== text} />}
      <Replay key={stored.generation} text={text} />
      {asking === "discard" && (
        <ReasonDialog
          plain
          title={t.policy.discardSure}
          action={t.policy.discard}
          act={discard}
          close={() => setAsking(undefined)}
        />
      )}
      {asking === "apply" && seen && (
        <Apply
          what={{ text }}
          generation={seen.plan.generation}
          close={() => setAsking(undefined)}
          done={() => {
            change(undefined);
            plan.reset();
          }}
        />
      )}
    </>
  );
}

/** What is wrong, without the place in words where that stands beside it. */
function said(f: FieldFault): string {
  return f.place ? f.text.replace(/^[^:]*: /, "") : f.text;
}

/** Its answer is in the language that it was asked in. */
function usePlan() {
  const { language } = useLanguage();
  return useMutation({
    mutationFn: async (text: string) => ({ text, language, plan: await must(api.POST("/api/v1/policies/plan", { body: { text } })) }),
    gcTime: 0,
  });
}

function Faults({ error, faults, jump }: { error: unknown; faults: FieldFault[]; jump: (f: FieldFault) => void }) {
  const t = useT();
  if (faults.length === 0) return <Fault error={error} />;
  return (
    <section id={FAULTS} role="alert" aria-label={t.policy.errors}>
      <Text className="danger" fw={600}>
        {t.policy.wrong(faults.length)}
      </Text>
      <ul className="faults">
        {faults.slice(0, LINES).map((f, i) => (
          <li key={i}>
            {f.place && (
              <Button size="compact-xs" variant="default" onClick={() => jump(f)}>
                {t.policy.jump(f.place.line, f.place.column)}
              </Button>
            )}{" "}
            {said(f)}
          </li>
        ))}
        {faults.length > LINES && <li>{t.policy.more(faults.length - LINES)}</li>}
      </ul>
    </section>
  );
}
