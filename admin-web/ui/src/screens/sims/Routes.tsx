// What lies behind a SIM: networks that its session carries beside its own address.

import { Button, Modal, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ifMatch, must, type Schemas } from "../../api/client";
import { Form, type Draft } from "../../form/Form";
import { useAct } from "../../frame/act";
import { To, When } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useMay } from "../../frame/me";
import { useT } from "../../i18n";
import { to } from "../../url/state";
import { fromLines, toLines } from "./lines";

export function Routes({ sim }: { sim: Schemas["Sim"] }) {
  const t = useT();
  const may = useMay();
  const [editing, setEditing] = useState(false);
  const path = { imsi: sim.imsi };
  const q = useQuery({
    queryKey: ["routes", sim.imsi],
    queryFn: () => must(api.GET("/api/v1/sims/{imsi}/routes", { params: { path } })),
  });
  return (
    <section>
      <Title order={2} size="h4" mt="lg" mb="xs">
        {t.sim.routes}
      </Title>
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      {q.data && q.data.routes.length > 0 && (
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t.fields.prefixes}</Table.Th>
              <Table.Th>{t.fields.dnns}</Table.Th>
              <Table.Th>{t.fields.since}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {q.data.routes.map((r) => (
              <Table.Tr key={r.prefix}>
                <Table.Td>{r.prefix}</Table.Td>
                <Table.Td>
                  <To href={to("/networks", { open: r.dnn })}>{r.dnn}</To>
                </Table.Td>
                <Table.Td>
                  <When at={r.since} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {q.data?.routes.length === 0 && <Text size="sm">{t.sim.noRoutes}</Text>}
      {q.data && may("provision") && sim.state !== "retired" && (
        <Button size="xs" variant="default" mt="xs" onClick={() => setEditing(true)}>
          {t.sim.editRoutes}
        </Button>
      )}
      {editing && q.data && <Edit sim={sim} routes={q.data} close={() => setEditing(false)} />}
    </section>
  );
}

function Edit({ sim, routes, close }: { sim: Schemas["Sim"]; routes: Schemas["Routes"]; close: () => void }) {
  const t = useT();
  const path = { imsi: sim.imsi };
  const [version, setVersion] = useState(routes.version);
  const [theirs, setTheirs] = useState<Draft>();
  const act = useAct({
    run: async (d: Draft) => {
      const body = { routes: fromLines(String(d["routes"] ?? ""), sim.dnns) };
      try {
        await must(api.PUT("/api/v1/sims/{imsi}/routes", { params: { path, header: ifMatch(version) }, body }));
      } catch (e) {
        const now = await must(api.GET("/api/v1/sims/{imsi}/routes", { params: { path } }));
        if (now.version !== version) {
          setVersion(now.version);
          setTheirs({ routes: toLines(now.routes) });
        }
        throw e;
      }
    },
    done: t.form.saved,
    touches: ["routes", "sims", "addresses"],
    after: close,
    fields: ["routes"],
    conflict: true,
  });
  return (
    <Modal opened onClose={close} size="lg" title={`${t.sim.routes}: ${sim.imsi}`} closeButtonProps={{ "aria-label": t.frame.close }}>
      <Form
        fields={[{ name: "routes", label: t.sim.routes, help: t.sim.routesHelp, kind: "long" }]}
        first={{ routes: toLines(routes.routes) }}
        existing
        act={act}
        action={t.frame.save}
        theirs={theirs}
        overwrite={act.go}
        onCancel={close}
      />
    </Modal>
  );
}
