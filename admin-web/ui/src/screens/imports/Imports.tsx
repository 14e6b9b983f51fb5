// Import: drop a file, see what it would do line by line, put it in force, take it back. The last imports below.

import { Button, Checkbox, FileButton, Group, Text, TextInput } from "@mantine/core";
import { useMemo, useState, type DragEvent } from "react";
import { api, must, once, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { useAct } from "../../frame/act";
import { Pill, Screen, Side, When } from "../../frame/bits";
import { useMay } from "../../frame/me";
import { useT } from "../../i18n";
import { DataTable, type Column } from "../../table/DataTable";
import { useUrlValue } from "../../url/state";
import { paged } from "../paged";
import { Job } from "./Job";
import "./imports.css";

type JobRow = Schemas["Job"];
type Mode = "dry-run" | "all-or-nothing" | "valid-rows";

export default function Imports() {
  const t = useT();
  const may = useMay();
  const [, setOpen] = useUrlValue("open");
  const list = useList(["jobs"], (cursor) => must(api.GET("/api/v1/jobs", { params: { query: paged({ kind: "" }, cursor) } })), 3_000);
  const columns = useMemo<Column<JobRow>[]>(
    () => [
      { id: "id", head: t.fields.id, cell: (j) => j.id, by: (j) => j.id, width: 70 },
      { id: "created", head: t.fields.created, cell: (j) => <When at={j.created} />, by: (j) => j.created, width: 190 },
      { id: "state", head: t.fields.state, cell: (j) => <Pill value={j.state} />, by: (j) => j.state },
      { id: "mode", head: t.imports.mode, cell: (j) => modeOf(j, t.imports.modes), width: 140 },
      { id: "rows", head: t.imports.rows, cell: (j) => number(j, "rows"), width: 80 },
      { id: "new", head: t.imports.new, cell: (j) => number(j, "new"), width: 80 },
      { id: "changed", head: t.imports.changed, cell: (j) => number(j, "changed"), width: 80 },
      { id: "errors", head: t.imports.errors, cell: (j) => number(j, "errors"), width: 80 },
      { id: "actor", head: t.fields.who, cell: (j) => j.actor, by: (j) => j.actor, width: 130 },
    ],
    [t],
  );
  return (
    <Screen title={t.nav.imports}>
      {may("provision") && <Drop />}
      <DataTable
        name="jobs"
        label={t.imports.jobs}
        list={list}
        columns={columns}
        rowId={(j) => String(j.id)}
        open={(j) => setOpen(String(j.id))}
        empty={t.imports.empty}
      />
      <Side title={t.nav.imports}>{(id) => <Job id={Number(id)} />}</Side>
    </Screen>
  );
}

/** A number of a job's result, where there is one. */
export function number(job: JobRow, name: string): number | undefined {
  const n = (job.result as Record<string, unknown> | null | undefined)?.[name];
  return typeof n === "number" ? n : undefined;
}

export function modeOf(job: JobRow, words: Record<string, string>): string {
  const mode = (job.result as Record<string, unknown> | null | undefined)?.["mode"];
  return typeof mode === "string" ? (words[mode] ?? mode) : job.kind;
}

/** The file is kept in this tab until it is in force: it holds keys. */
function Drop() {
  const t = useT();
  const [file, setFile] = useState<File>();
  const [over, setOver] = useState(false);
  const [dry, setDry] = useState<JobRow>();
  const [replace, setReplace] = useState(false);
  const [reason, setReason] = useState("");
  const [ticket, setTicket] = useState("");
  const [, setOpen] = useUrlValue("open");
  const send = useAct({
    run: ({ body, mode }: { body: File; mode: Mode }) => {
      const query = { mode, replace_keys: replace, ...(reason ? { reason } : {}), ...(ticket ? { ticket } : {}) };
      const type = /\.jsonl?$/i.test(body.name) ? "application/json" : "text/csv";
      return must(
        api.POST("/api/v1/imports", {
          params: { query, header: once() },
          // The octets of the file go as they are: the server knows its encodings.
          body: body as unknown as string,
          bodySerializer: (b) => b,
          headers: { "Content-Type": type },
        }),
      );
    },
    touches: ["jobs", "sims", "overview"],
    after: (job) => {
      const mode = (job.result as { mode?: string } | null | undefined)?.mode;
      setDry(mode === "dry-run" ? job : undefined);
      if (mode !== "dry-run") setFile(undefined);
      setOpen(String(job.id));
    },
  });
  const take = (f: File | null | undefined) => {
    if (!f) return;
    setFile(f);
    setDry(undefined);
    send.go({ body: f, mode: "dry-run" });
  };
  const drop = (e: DragEvent) => {
    e.preventDefault();
    setOver(false);
    take(e.dataTransfer.files[0]);
  };
  const errors = dry ? (number(dry, "errors") ?? 0) : 0;
  const news = dry ? (number(dry, "new") ?? 0) + (number(dry, "changed") ?? 0) : 0;
  return (
    <section
      className={over ? "drop drop-over" : "drop"}
      onDragOver={(e) => {
        e.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
      aria-label={t.imports.drop}
    >
      <Group>
        <FileButton onChange={take} accept=".csv,.txt,.tsv,.json,.jsonl,text/csv,application/json" inputProps={{ "aria-label": t.imports.choose }}>
          {(props) => (
            <Button {...props} loading={send.busy}>
              {t.imports.choose}
            </Button>
          )}
        </FileButton>
        <Text size="sm">{file ? file.name : t.imports.drop}</Text>
      </Group>
      {file && dry && (
        <Group align="flex-end">
          <Text role="status" fw={600}>
            {t.imports.would(number(dry, "new") ?? 0, number(dry, "changed") ?? 0, number(dry, "same") ?? 0, errors)}
          </Text>
          <TextInput label={t.frame.reason} size="xs" value={reason} onChange={(e) => setReason(e.currentTarget.value)} />
          <TextInput label={t.frame.ticket} size="xs" value={ticket} onChange={(e) => setTicket(e.currentTarget.value)} />
          <Checkbox label={t.imports.replaceKeys} size="xs" checked={replace} onChange={(e) => setReplace(e.currentTarget.checked)} />
          <Button disabled={errors > 0 || news === 0} loading={send.busy} onClick={() => send.go({ body: file, mode: "all-or-nothing" })}>
            {t.imports.apply(news)}
          </Button>
          {errors > 0 && news > 0 && (
            <Button variant="default" loading={send.busy} onClick={() => send.go({ body: file, mode: "valid-rows" })}>
              {t.imports.applyValid(news)}
            </Button>
          )}
          <Button variant="default" loading={send.busy} onClick={() => send.go({ body: file, mode: "dry-run" })}>
            {t.imports.dryAgain}
          </Button>
        </Group>
      )}
    </section>
  );
}
