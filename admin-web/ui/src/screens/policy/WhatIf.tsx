// What the draft would make of one SIM, beside what is in force.

import { Button, Group, Text, TextInput, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api, must, type Schemas } from "../../api/client";
import { problemOf } from "../../api/problem";
import { Pill, SimLink } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useT } from "../../i18n";
import { isSame, SENSITIVITIES, type Profile } from "./risk";
import { RiskParts } from "./Story";

export function WhatIf({ draft }: { draft: Profile }) {
  const t = useT();
  const [imsi, setImsi] = useState("");
  const tried = useMutation({
    mutationFn: async (asked: { imsi: string; profile: Profile }) => ({
      ...asked,
      is: await must(api.POST("/api/v1/sims/{imsi}/risk", { params: { path: { imsi: asked.imsi } }, body: asked.profile })),
    }),
    gcTime: 0,
  });
  const send = (e: FormEvent) => {
    e.preventDefault();
    if (imsi.trim() !== "") tried.mutate({ imsi: imsi.trim(), profile: draft });
  };
  const seen = tried.data && isSame(tried.data.profile, draft) ? tried.data.is : undefined;
  return (
    <section aria-label={t.risk.whatIf}>
      <Title order={2} size="h4">
        {t.risk.whatIf}
      </Title>
      <form onSubmit={send}>
        <Group align="flex-end" gap="sm">
          <TextInput label={t.fields.imsi} w={190} value={imsi} onChange={(e) => setImsi(e.currentTarget.value)} />
          <Button type="submit" variant="default" loading={tried.isPending}>
            {t.risk.try}
          </Button>
        </Group>
      </form>
      {tried.error && (problemOf(tried.error).status === 404 ? <Text role="alert">{t.risk.noSim}</Text> : <Fault error={tried.error} />)}
      {tried.data && !seen && !tried.error && (
        <Text size="sm" role="note" className="old">
          {t.risk.outdated}
        </Text>
      )}
      {seen && (
        <>
          <Text size="sm">
            <SimLink imsi={seen.imsi} />
          </Text>
          <div className="risk-beside">
            <One title={t.risk.inForce} of={seen.stored} />
            <One title={t.policy.draft} of={seen.draft} />
          </div>
        </>
      )}
    </section>
  );
}

function One({ title, of }: { title: string; of: Schemas["RiskComesTo"] }) {
  const t = useT();
  return (
    <div data-profile={title}>
      <Text fw={600}>{title}</Text>
      <RiskParts risk={of.risk} by={title} />
      <ul className="words">
        {SENSITIVITIES.map((s) => (
          <li key={s}>
            {t.words[s]}: <Pill value={of[s]} />
          </li>
        ))}
      </ul>
    </div>
  );
}
