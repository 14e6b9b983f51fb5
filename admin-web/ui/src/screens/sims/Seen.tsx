// Where a SIM was: every device that it was in, and the addresses that it had.

import { Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, must } from "../../api/client";
import { Pill, To, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT } from "../../i18n";
import { to } from "../../url/state";

/** Addresses that are shown; the ledger has them all. */
const ADDRESSES = 5;

export function DevicesSeen({ imsi }: { imsi: string }) {
  const t = useT();
  const q = useQuery({
    queryKey: ["sightings", imsi],
    queryFn: () => must(api.GET("/api/v1/sims/{imsi}/devices", { params: { path: { imsi } } })),
    refetchInterval: 30_000,
  });
  return (
    <section>
      <Title order={2} size="h4" mt="lg" mb="xs">
        {t.sim.seen}
      </Title>
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      {q.data && q.data.items.length > 0 && (
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t.fields.device}</Table.Th>
              <Table.Th>{t.sim.first}</Table.Th>
              <Table.Th>{t.sim.last}</Table.Th>
              <Table.Th>{t.fields.count}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {q.data.items.map((d) => (
              <Table.Tr key={d.device}>
                <Table.Td>
                  {d.device_id ? <To href={to("/devices", { open: d.device_id })}>{d.device_id}</To> : null} {d.device}{" "}
                  {d.colour && (
                    <To href={to("/equipment", { q: d.device.slice(0, 8) })}>
                      <Pill value={d.colour} />
                    </To>
                  )}
                  {d.refused && (
                    <div>
                      <Pill value="bad" text={t.sim.refusedIn} /> <When at={d.refused} />
                    </div>
                  )}
                </Table.Td>
                <Table.Td>
                  <When at={d.first} />
                </Table.Td>
                <Table.Td>
                  <When at={d.last} />
                </Table.Td>
                <Table.Td>{d.times}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {q.data?.items.length === 0 && <Text size="sm">{t.sim.noSeen}</Text>}
    </section>
  );
}

export function Addresses({ imsi }: { imsi: string }) {
  const t = useT();
  const q = useQuery({
    queryKey: ["sessions", "addresses", imsi],
    queryFn: () => must(api.GET("/api/v1/addresses", { params: { query: { imsi, limit: ADDRESSES } } })),
  });
  return (
    <section>
      <Title order={2} size="h4" mt="lg" mb="xs">
        {t.sim.addresses}
      </Title>
      {q.error && <Fault error={q.error} />}
      <ul className="news">
        {q.data?.items.map((l) => (
          <li key={l.id}>
            {l.ip} ({l.dnn}) <When at={l.start} /> – {l.end ? <When at={l.end} /> : <Pill value="active" text={t.ledger.now} />}
          </li>
        ))}
      </ul>
      {q.data?.items.length === 0 && <Text size="sm">{t.ledger.empty}</Text>}
      {q.data?.next && <To href={to("/ledger", { imsi })}>{t.nav.ledger}</To>}
    </section>
  );
}
