// One field for everything: the screens by name, and SIMs, people, devices and sites by whatever is known of them.

import { Modal, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useState, type KeyboardEvent } from "react";
import { useLocation } from "wouter";
import { useFind } from "../api/find";
import { useT } from "../i18n";
import type { Route } from "./routes";

interface Choice {
  key: string;
  text: string;
  kind: string;
  href: string;
}

export function Palette({ close, routes }: { close: () => void; routes: Route[] }) {
  const t = useT();
  const [, go] = useLocation();
  const [text, setText] = useState("");
  const [asked] = useDebouncedValue(text.trim(), 200);
  const [at, setAt] = useState(0);
  const found = useFind(asked, 8);
  const lower = text.trim().toLowerCase();
  const places = routes
    .filter((r) => r.section && (lower === "" || t.nav[r.name].toLowerCase().includes(lower) || r.path.includes(lower)))
    .map((r): Choice => ({ key: r.path, text: t.nav[r.name], kind: t.frame.screen, href: r.path }));
  const things = found.matches.map(
    (m): Choice => ({ key: `${m.scope}:${m.value}`, text: [m.value, m.words].filter(Boolean).join(" · "), kind: t.lost.scopes[m.scope], href: m.href }),
  );
  const choices = [...things, ...places].slice(0, 14);
  const chosen = Math.min(at, choices.length - 1);
  const open = (c: Choice | undefined) => {
    if (!c) return;
    close();
    go(c.href);
  };
  const onKey = (e: KeyboardEvent) => {
    if (e.key === "ArrowDown") setAt(Math.min(chosen + 1, choices.length - 1));
    else if (e.key === "ArrowUp") setAt(Math.max(chosen - 1, 0));
    else if (e.key === "Enter") open(choices[chosen]);
    else return;
    e.preventDefault();
  };
  return (
    <Modal opened onClose={close} withCloseButton={false} returnFocus={false} size="lg" yOffset="10vh" title={undefined} aria-label={t.frame.search}>
      <TextInput
        data-autofocus
        autoFocus
        label={t.frame.search}
        description={t.frame.searchHelp}
        value={text}
        onChange={(e) => {
          setText(e.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKey}
        role="combobox"
        aria-expanded
        aria-controls="palette"
        aria-activedescendant={choices[chosen] ? `palette-${chosen}` : undefined}
      />
      <div id="palette" role="listbox" aria-label={t.frame.search} className="palette">
        {choices.map((c, i) => (
          <div
            key={c.key}
            id={`palette-${i}`}
            role="option"
            aria-selected={i === chosen}
            className="palette-item"
            onMouseEnter={() => setAt(i)}
            onClick={() => open(c)}
          >
            <span>{c.text}</span>
            <Text size="xs" c="dimmed" component="span">
              {c.kind}
            </Text>
          </div>
        ))}
      </div>
    </Modal>
  );
}
