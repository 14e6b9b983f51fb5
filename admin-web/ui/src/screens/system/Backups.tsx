// Backups: which there are, taking one, and how to prove that one can be restored. What is in them only the recovery key
// opens, and that is nowhere on this machine: so the drill is a command, not a button.

import { Alert, Button, Code, Group, Stack, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api, must, once, type Schemas } from "../../api/client";
import { useList } from "../../api/list";
import { quote } from "../../api/shell";
import { useAct } from "../../frame/act";
import { Facts, Pill, Screen, Side, To, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT } from "../../i18n";
import { useFormat } from "../../i18n/format";
import { DataTable, type Column } from "../../table/DataTable";
import { to, useUrlValue } from "../../url/state";
import { paged } from "../paged";

type File = Schemas["BackupFile"];

export default function Backups() {
  const t = useT();
  const f = useFormat();
  const [, setOpen] = useUrlValue("open");
  const list = useList(["backups"], (cursor) => must(api.GET("/api/v1/backups", { params: { query: paged({}, cursor) } })), 60_000);
  const columns = useMemo<Column<File>[]>(
    () => [
      { id: "name", head: t.fields.name, cell: (b) => b.name, by: (b) => b.name, width: 320 },
      { id: "at", head: t.fields.at, cell: (b) => <When at={b.at} />, by: (b) => b.at, width: 200 },
      { id: "octets", head: t.backups.size, cell: (b) => f.bytes(b.octets), by: (b) => b.octets, width: 110 },
    ],
    [t, f],
  );
  return (
    <Screen title={t.nav.backups}>
      <Text size="sm">{t.backups.help}</Text>
      <Hold />
      <Take />
      <DataTable
        name="backups"
        label={t.nav.backups}
        list={list}
        columns={columns}
        rowId={(b) => b.name}
        open={(b) => setOpen(b.name)}
        empty={t.backups.empty}
      />
      <Side title={t.nav.backups}>{(name) => <Drill name={name} />}</Side>
    </Screen>
  );
}

/** After a restore every SIM waits until somebody has confirmed the list of bans. */
function Hold() {
  const t = useT();
  const q = useQuery({ queryKey: ["hold"], queryFn: () => must(api.GET("/api/v1/system/hold")), refetchInterval: 15_000 });
  if (q.error) return <Fault error={q.error} />;
  if (!q.data?.held) return null;
  return (
    <Alert color="red" variant="outline" role="alert" title={t.backups.held}>
      <Facts
        facts={[
          [t.fields.since, <When key="s" at={q.data.since} />],
          [t.fields.reason, q.data.reason],
          [t.backups.banned, <To key="b" href={to("/sims", { state: "lost" })}>{q.data.banned}</To>],
        ]}
      />
      <Code block mt="xs" tabIndex={0}>{`sekisho restore confirm --banned ${q.data.banned} --reason …`}</Code>
    </Alert>
  );
}

function Take() {
  const t = useT();
  const f = useFormat();
  const [name, setName] = useState("");
  const [made, setMade] = useState<Schemas["Backup"]>();
  const act = useAct({
    run: (body: Schemas["NewBackup"]) => must(api.POST("/api/v1/backups", { params: { header: once() }, body })),
    done: t.frame.done,
    touches: ["backups", "audit"],
    after: (b) => {
      setMade(b);
      setName("");
    },
    fields: ["name"],
  });
  const first = () => `sekisho-${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}.skbackup`;
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        act.go({ name: name.trim() || first() });
      }}
    >
      <Stack gap="xs">
        <Group align="flex-start">
          <TextInput
            label={t.backups.name}
            description={t.backups.nameHelp}
            w={420}
            value={name}
            error={act.fault("name")}
            onChange={(e) => setName(e.currentTarget.value)}
          />
          <Button type="submit" mt={44} loading={act.busy}>
            {t.backups.take}
          </Button>
        </Group>
        {made && (
          <div role="status">
            <Facts
              facts={[
                [t.backups.made, <span key="m"><Pill value="done" /> {made.file}</span>],
                [t.backups.size, f.bytes(made.octets)],
                [t.fields.at, <When key="a" at={made.at} />],
                [t.nav.sims, made.database === "sqlite" ? `${f.number(made.sims)} (${t.backups.banned}: ${f.number(made.banned)})` : t.backups.elsewhere],
                [t.health.journal, f.number(made.journal_records)],
              ]}
            />
          </div>
        )}
      </Stack>
    </form>
  );
}

function Drill({ name }: { name: string }) {
  const t = useT();
  return (
    <Stack gap="sm">
      <Text fw={600}>{name}</Text>
      <Title order={3} size="h5">
        {t.backups.drill}
      </Title>
      <Text size="sm">{t.backups.drillHelp}</Text>
      <Code block tabIndex={0}>{`sekisho backup drill ${quote(`backups/${name}`)}`}</Code>
    </Stack>
  );
}
