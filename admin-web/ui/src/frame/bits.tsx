// Small things that many screens show.

import { Anchor, Drawer, Stack, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { useT, word } from "../i18n";
import { useFormat } from "../i18n/format";
import { useUrlValue } from "../url/state";

/** A screen: its name, what is beside it, and its content down to the window's edge. */
export function Screen({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <Stack gap="sm" className="screen">
      <div className="screen-head">
        <Title order={1} size="h3">
          {title}
        </Title>
        {aside}
      </div>
      {children}
    </Stack>
  );
}

/** Name and value, one beside the other. */
export function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value === undefined || value === null || value === "" ? "–" : value}</dd>
        </div>
      ))}
    </dl>
  );
}

const TONE: Record<string, string> = {
  active: "good", ready: "calm", stock: "plain", suspended: "warn", lost: "bad", stolen: "bad", retired: "plain",
  allow: "good", "allow-logged": "calm", inspect: "calm", deny: "bad", reject: "bad",
  up: "good", down: "bad",
  open: "warn", acknowledged: "calm", closed: "plain",
  critical: "bad", high: "bad", warning: "warn", medium: "warn", low: "calm", info: "calm",
  done: "good", failed: "bad", running: "calm", waiting: "calm", planned: "calm", undone: "warn", dropped: "warn", cancelled: "plain",
  ok: "good", warn: "warn", bad: "bad", good: "good", note: "warn", banned: "bad", queued: "calm",
  white: "good", grey: "warn", black: "bad",
  "step-up": "warn", quarantine: "bad", risk: "calm", unknown: "unknown", yes: "good", no: "bad",
  over: "plain", revoked: "plain",
};

/** A word with a colour; the colour alone never says anything. */
export function Pill({ value, text }: { value: string; text?: string }) {
  const t = useT();
  return <span className={`pill pill-${TONE[value] ?? "plain"}`}>{text ?? word(t.words, value)}</span>;
}

export function When({ at }: { at: string | null | undefined }) {
  const f = useFormat();
  return at ? <time dateTime={at}>{f.time(at)}</time> : <>–</>;
}

/** A link inside of the console. */
export function To({ href, children }: { href: string; children: ReactNode }) {
  return (
    <Anchor component={Link} href={href} size="sm" underline="always">
      {children}
    </Anchor>
  );
}

/** A SIM by its IMSI. */
export function SimLink({ imsi }: { imsi: string }) {
  return <To href={`/sims/${imsi}`}>{imsi}</To>;
}

/** A panel at the side, open while the address names what it shows. */
export function Side({ title, name = "open", children }: { title: string; name?: string; children: (id: string) => ReactNode }) {
  const [id, setId] = useUrlValue(name);
  const t = useT();
  return (
    <Drawer
      opened={id !== ""}
      onClose={() => setId("")}
      position="right"
      size="lg"
      title={title}
      closeButtonProps={{ "aria-label": t.frame.close }}
    >
      {id !== "" && children(id)}
    </Drawer>
  );
}
