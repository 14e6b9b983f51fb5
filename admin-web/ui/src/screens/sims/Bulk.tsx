// The same change for many SIMs: the number is typed first, each row says what became of it, and a row that fails keeps
// none of the others back. A key per row makes trying again safe.

import { Button, Group, Modal, NativeSelect, Progress, Stack, Table, TagsInput, Text, TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useMemo, useRef, useState } from "react";
import { api, ifMatch, must, newKey, once, type Schemas } from "../../api/client";
import { problemOf } from "../../api/problem";
import { SimLink } from "../../frame/bits";
import { useT } from "../../i18n";
import type { Selection } from "../../table/selection";

type Action = "suspend" | "resume" | "retire" | "setGroups" | "setSite";
const STATE: Partial<Record<Action, string>> = { suspend: "suspended", resume: "active", retire: "retired" };
/** Requests in the air at once: quick, and no other user waits for it. */
const AT_ONCE = 4;

interface Done {
  imsi: string;
  /** What was wrong; `undefined` where it was changed. */
  fault?: string;
}

export function Bulk({ selection, close }: { selection: Selection; close: () => void }) {
  const t = useT();
  const queries = useQueryClient();
  // What was chosen when the dialog opened: the list behind it may move.
  const imsis = useRef(selection.ids).current;
  const batch = useMemo(newKey, []);
  const [action, setAction] = useState<Action>("suspend");
  const [reason, setReason] = useState("");
  const [ticket, setTicket] = useState("");
  const [groups, setGroups] = useState<string[]>([]);
  const [site, setSite] = useState("");
  const [typed, setTyped] = useState("");
  const [done, setDone] = useState<Done[]>();
  const running = done !== undefined && done.length < imsis.length;
  const state = STATE[action];
  const ready = typed.trim() === String(imsis.length) && (state === undefined || reason.trim() !== "");

  const one = async (imsi: string): Promise<void> => {
    const path = { imsi };
    if (state) {
      const body = { state, reason: reason.trim(), ticket: ticket.trim() || null };
      await must(api.POST("/api/v1/sims/{imsi}/state", { params: { path, header: once(`${batch}${imsi}`) }, body }));
      return;
    }
    const { version } = await must(api.GET("/api/v1/sims/{imsi}", { params: { path } }));
    const body: Schemas["SimChange"] = action === "setGroups" ? { groups } : { site };
    await must(api.PATCH("/api/v1/sims/{imsi}", { params: { path, header: ifMatch(version) }, body }));
  };
  const run = async () => {
    const waiting = [...imsis];
    setDone([]);
    const worker = async () => {
      for (let imsi = waiting.shift(); imsi; imsi = waiting.shift()) {
        const row: Done = { imsi };
        try {
          await one(imsi);
        } catch (e) {
          const p = problemOf(e);
          row.fault = [p.message, ...p.faults.map((f) => f.text), p.fix].filter(Boolean).join(" · ");
        }
        setDone((d) => [...(d ?? []), row]);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    void queries.invalidateQueries({ queryKey: ["sims"] });
  };
  const failed = done?.filter((d) => d.fault) ?? [];

  return (
    <Modal opened onClose={running ? () => undefined : close} size="lg" title={t.sims.bulkTitle} closeButtonProps={{ "aria-label": t.frame.close }}>
      <Stack gap="sm">
        {done === undefined ? (
          <>
            <NativeSelect
              label={t.sims.bulkWhat}
              value={action}
              onChange={(e) => setAction(e.currentTarget.value as Action)}
              data={(["suspend", "resume", "retire", "setGroups", "setSite"] as const).map((a) => ({ value: a, label: t.sims[a] }))}
            />
            {state && (
              <>
                <TextInput required label={t.frame.reason} value={reason} onChange={(e) => setReason(e.currentTarget.value)} />
                <TextInput label={t.frame.ticket} value={ticket} onChange={(e) => setTicket(e.currentTarget.value)} />
              </>
            )}
            {action === "setGroups" && <TagsInput label={t.fields.groups} value={groups} onChange={setGroups} acceptValueOnBlur />}
            {action === "setSite" && <TextInput label={t.fields.site} value={site} onChange={(e) => setSite(e.currentTarget.value)} />}
            {action === "retire" && <Text size="sm">{t.sim.retireWhat}</Text>}
            <TextInput required label={t.sims.typeCount(imsis.length)} inputMode="numeric" value={typed} onChange={(e) => setTyped(e.currentTarget.value)} />
            <Group justify="flex-end">
              <Button variant="default" onClick={close}>
                {t.frame.cancel}
              </Button>
              <Button color={action === "retire" ? "red" : "blue"} disabled={!ready} onClick={() => void run()}>
                {t.sims[action]}
              </Button>
            </Group>
          </>
        ) : (
          <>
            <Progress value={(100 * done.length) / imsis.length} aria-label={t.sims.progress(done.length, imsis.length)} />
            <Text role="status">
              {running ? t.sims.progress(done.length, imsis.length) : t.sims.result(done.length - failed.length, failed.length)}
            </Text>
            <div className="results" tabIndex={0} role="region" aria-label={t.sims.bulkTitle}>
              <Table>
                <Table.Tbody>
                  {[...failed, ...done.filter((d) => !d.fault)].slice(0, 500).map((d) => (
                    <Table.Tr key={d.imsi}>
                      <Table.Td>
                        <SimLink imsi={d.imsi} />
                      </Table.Td>
                      <Table.Td>{d.fault ?? t.sims.changedRow}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </div>
            {!running && (
              <Group justify="flex-end">
                <Button
                  onClick={() => {
                    selection.clear();
                    close();
                  }}
                >
                  {t.frame.close}
                </Button>
              </Group>
            )}
          </>
        )}
      </Stack>
    </Modal>
  );
}
