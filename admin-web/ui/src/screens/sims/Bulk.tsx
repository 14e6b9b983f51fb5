// The same change for many SIMs: those that were chosen, or all that the filter finds. The number is typed first and goes
// with the request, so that a list that has moved changes nothing; each row says what became of it.

import { Button, Group, Modal, NativeSelect, SegmentedControl, Stack, Table, TagsInput, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api, must, newKey, once, type Schemas } from "../../api/client";
import { ApiProblem, type ProblemBody } from "../../api/problem";
import { useAct } from "../../frame/act";
import { SimLink } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT } from "../../i18n";
import type { Selection } from "../../table/selection";
import type { Values } from "../../url/state";

type Change = Schemas["BulkChange"];
const ACTIONS = ["suspend", "resume", "retire", "addGroups", "removeGroups", "setSite"] as const;
type Action = (typeof ACTIONS)[number];
const STATE: Partial<Record<Action, string>> = { suspend: "suspended", resume: "active", retire: "retired" };

interface Props {
  selection: Selection;
  filter: Values;
  close: () => void;
}

export function Bulk({ selection, filter, close }: Props) {
  const t = useT();
  // What was chosen when the dialog opened: the list behind it may move.
  const [imsis] = useState(selection.ids);
  const key = useMemo(newKey, []);
  const [whole, setWhole] = useState(imsis.length === 0);
  const [action, setAction] = useState<Action>("suspend");
  const [reason, setReason] = useState("");
  const [ticket, setTicket] = useState("");
  const [groups, setGroups] = useState<string[]>([]);
  const [site, setSite] = useState("");
  const [typed, setTyped] = useState("");
  const [done, setDone] = useState<Schemas["BulkAnswer"]>();

  const which: Pick<Change, "imsis" | "filter"> = whole
    ? { filter: Object.fromEntries(Object.entries(filter).filter(([, v]) => v !== "")) }
    : { imsis };
  const count = useQuery({ queryKey: ["sims", "bulk", which], queryFn: () => counted(which), enabled: done === undefined });
  const n = count.data ?? 0;
  const what: Partial<Change> =
    action === "addGroups"
      ? { groups_add: groups }
      : action === "removeGroups"
        ? { groups_remove: groups }
        : action === "setSite"
          ? { site: site.trim() || null }
          : { state: STATE[action] ?? null };
  const act = useAct({
    run: () => {
      const body: Change = { ...which, ...what, expect: n, reason: reason.trim(), ticket: ticket.trim() || null };
      return must(api.POST("/api/v1/sims/bulk", { params: { header: once(key) }, body }));
    },
    touches: ["sims", "overview", "sessions"],
    after: setDone,
    fields: ["reason", "ticket", "groups_add", "groups_remove", "site"],
  });
  const ready = n > 0 && typed.trim() === String(n) && reason.trim() !== "";
  const finish = () => {
    if (done) selection.clear();
    close();
  };
  return (
    <Modal opened onClose={finish} size="lg" title={t.sims.bulkTitle} closeButtonProps={{ "aria-label": t.frame.close }}>
      {done ? (
        <Results answer={done} />
      ) : (
        <form
          onSubmit={(e) => {
            e.preventDefault();
            if (ready) act.go(undefined);
          }}
        >
          <Stack gap="sm">
            {imsis.length > 0 && (
              <SegmentedControl
                aria-label={t.sims.bulkTitle}
                value={whole ? "filter" : "chosen"}
                onChange={(v) => setWhole(v === "filter")}
                data={[
                  { value: "chosen", label: t.sims.chosenOnly(imsis.length) },
                  { value: "filter", label: t.sims.everything },
                ]}
              />
            )}
            {count.error && <Fault error={count.error} />}
            {count.isSuccess && (
              <Text role="status" fw={600}>
                {t.sims.counted(n)}
              </Text>
            )}
            <NativeSelect
              label={t.sims.bulkWhat}
              value={action}
              onChange={(e) => setAction(e.currentTarget.value as Action)}
              data={ACTIONS.map((a) => ({ value: a, label: t.sims[a] }))}
            />
            {(action === "addGroups" || action === "removeGroups") && (
              <TagsInput
                label={t.fields.groups}
                value={groups}
                onChange={setGroups}
                acceptValueOnBlur
                error={act.fault("groups_add") ?? act.fault("groups_remove")}
              />
            )}
            {action === "setSite" && (
              <TextInput label={t.fields.site} value={site} error={act.fault("site")} onChange={(e) => setSite(e.currentTarget.value)} />
            )}
            {action === "retire" && <Text size="sm">{t.sim.retireWhat}</Text>}
            <TextInput required label={t.frame.reason} value={reason} error={act.fault("reason")} onChange={(e) => setReason(e.currentTarget.value)} />
            <TextInput label={t.frame.ticket} value={ticket} error={act.fault("ticket")} onChange={(e) => setTicket(e.currentTarget.value)} />
            <TextInput required label={t.sims.typeCount(n)} inputMode="numeric" value={typed} onChange={(e) => setTyped(e.currentTarget.value)} />
            <Group justify="flex-end">
              <Button variant="default" onClick={close}>
                {t.frame.cancel}
              </Button>
              <Button type="submit" color={action === "retire" ? "red" : "blue"} disabled={!ready} loading={act.busy}>
                {t.sims[action]}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}

/** How many SIMs are meant. The filter is asked with a number that cannot be right: the refusal names the right one. */
async function counted(which: Pick<Change, "imsis" | "filter">): Promise<number> {
  if (which.imsis) return which.imsis.length;
  const body: Change = { ...which, expect: Number.MAX_SAFE_INTEGER, dry_run: true, reason: "count", state: "suspended" };
  const { error, response } = await api.POST("/api/v1/sims/bulk", { params: { header: once() }, body });
  const matched = (error as { matched?: unknown } | undefined)?.matched;
  if (typeof matched === "number") return matched;
  throw new ApiProblem(response.status, (error ?? {}) as Partial<ProblemBody>);
}

/** Rows that failed stand first. */
const SHOWN = 500;

function Results({ answer }: { answer: Schemas["BulkAnswer"] }) {
  const t = useT();
  const rows = [...answer.results].sort((a, b) => Number(a.ok) - Number(b.ok)).slice(0, SHOWN);
  return (
    <Stack gap="sm">
      <Text role="status">{t.sims.result(answer.done, answer.failed)}</Text>
      <div className="results" tabIndex={0} role="region" aria-label={t.sims.bulkTitle}>
        <Table>
          <Table.Tbody>
            {rows.map((r) => (
              <Table.Tr key={r.imsi}>
                <Table.Td>
                  <SimLink imsi={r.imsi} />
                </Table.Td>
                <Table.Td>{r.ok ? t.sims.changedRow : words(r.problem)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </div>
    </Stack>
  );
}

function words(problem: unknown): string {
  const p = new ApiProblem(0, (problem ?? {}) as Partial<ProblemBody>);
  return [p.message, ...p.faults.map((f) => f.text), p.fix].filter(Boolean).join(" · ");
}
