// What happens, as it happens: one event stream for the whole console. An event makes what it is about be read again;
// the stream carries no data of its own that a screen would show without asking.

import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useRef, useState, useSyncExternalStore, type ReactNode } from "react";
import { api } from "./client";
import type { Schemas } from "./client";

type Event = Schemas["Event"];

/** Kinds of events, and what each changes. `gap` is the stream's own: some events cannot be had any more. */
const TOUCHES: Record<string, readonly string[]> = {
  "gnb-up": ["system", "overview"],
  "gnb-refused": ["system"],
  "gnb-down": ["system", "overview"],
  registered: ["system", "timeline", "overview", "sightings", "facts"],
  moved: ["system", "sessions", "timeline", "facts"],
  "registration-refused": ["alerts", "timeline"],
  deregistered: ["system", "sessions", "timeline", "overview", "facts"],
  "session-up": ["system", "sessions", "timeline", "overview"],
  "session-refused": ["timeline"],
  "session-down": ["system", "sessions", "timeline", "overview"],
  "foreign-up": ["system", "sessions", "timeline", "overview"],
  "foreign-down": ["system", "sessions", "timeline", "overview"],
  "sim-state": ["sims", "overview", "timeline", "system", "schedules"],
  "schedule-dropped": ["schedules", "timeline"],
  "sims-imported": ["sims", "overview", "jobs"],
  "sims-import-undone": ["sims", "overview", "jobs"],
  "device-mismatch": ["alerts", "timeline", "sightings"],
  "equipment-black": ["alerts", "timeline", "sightings"],
  "equipment-grey": ["alerts", "timeline"],
  "device-learned": ["sims", "timeline", "sightings"],
  "device-changed": ["sims", "timeline"],
  "clone-found": ["alerts", "timeline"],
  "clone-suspected": ["alerts", "timeline"],
  "policy-published": ["rules", "apps", "groups", "networks", "system", "grants", "facts"],
  gateway: ["system", "sessions"],
  "banned-reuse": ["alerts", "timeline", "revocations"],
  revoked: ["revocations", "sims", "overview", "sessions", "system", "timeline"],
  "journal-behind": ["alerts", "system"],
  "database-behind": ["alerts", "system"],
  "reconciler-removed": ["alerts", "sessions"],
  "policy-disagreement": ["alerts"],
  "audit-broken": ["alerts", "audit"],
  "events-lost": ["alerts"],
  "delivery-failing": ["alerts", "system"],
  "disk-full": ["alerts", "system"],
  "rule-fired": ["alerts", "timeline"],
  alarm: ["alerts"],
  gap: [],
};

/** Queries that an event touches are read again at most this often, milliseconds. */
const PAUSE = 1_000;
/** Events kept for the screens. */
const KEPT = 200;

export interface Live {
  /** Whether the stream is open; `undefined` before it was for the first time. */
  open: boolean | undefined;
  /** When the stream opened, closed or said something last, milliseconds. */
  since: number;
  /** Number of the last event. */
  last: number | undefined;
  /** The newest first. */
  events: Event[];
  /** Events that were missed and cannot be had. */
  lost: number;
}

const Context = createContext<Live>({ open: undefined, since: 0, last: undefined, events: [], lost: 0 });

export function LiveEvents({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const [live, setLive] = useState<Live>({ open: undefined, since: Date.now(), last: undefined, events: [], lost: 0 });
  const last = useRef<number | undefined>(undefined);

  useEffect(() => {
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const touched = touching(queries);

    const hear = (e: MessageEvent<string>) => {
      const event = JSON.parse(e.data) as Event;
      // A doubled event, from a stream that was opened twice, is heard once.
      if (last.current !== undefined && event.id <= last.current) return;
      last.current = event.id;
      touched.add(TOUCHES[event.kind] ?? []);
      setLive((l) => ({ ...l, open: true, since: Date.now(), last: event.id, events: [event, ...l.events].slice(0, KEPT) }));
    };
    const gap = (e: MessageEvent<string>) => {
      const { from, to } = JSON.parse(e.data) as { from: number; to: number };
      last.current = to;
      void queries.invalidateQueries();
      setLive((l) => ({ ...l, lost: l.lost + to - from + 1 }));
    };
    const open = () => {
      // The browser itself resumes a broken stream by Last-Event-ID; a stream that was refused is opened anew here.
      source = new EventSource(`/api/v1/events${last.current === undefined ? "" : `?after=${last.current}`}`);
      for (const kind of Object.keys(TOUCHES)) source.addEventListener(kind, kind === "gap" ? gap : hear);
      source.onopen = () => {
        // What was shown while nobody told us of changes is read again.
        void queries.invalidateQueries();
        setLive((l) => ({ ...l, open: true, since: Date.now() }));
      };
      source.onerror = () => {
        setLive((l) => (l.open === false ? l : { ...l, open: false, since: Date.now() }));
        if (source?.readyState !== EventSource.CLOSED) return;
        source.close();
        // A session that has ended is told by this call, which leads to the sign-in page.
        void api.GET("/api/v1/me").catch(() => undefined);
        timer = setTimeout(open, 3_000);
      };
    };
    open();
    return () => {
      source?.close();
      clearTimeout(timer);
      touched.stop();
    };
  }, [queries]);

  return <Context.Provider value={live}>{children}</Context.Provider>;
}

/** Gathers what events touched, and has it read again once a pause. */
function touching(queries: QueryClient) {
  const names = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    timer = undefined;
    for (const name of names) void queries.invalidateQueries({ queryKey: [name] });
    names.clear();
  };
  return {
    add(more: readonly string[]) {
      more.forEach((n) => names.add(n));
      if (more.length > 0) timer ??= setTimeout(flush, PAUSE);
    },
    stop: () => clearTimeout(timer),
  };
}

export function useLive(): Live {
  return useContext(Context);
}

let now = Date.now();
const waiting = new Set<() => void>();
let ticking: ReturnType<typeof setInterval> | undefined;

/** The time, once a second, from one clock for all ages on a screen. */
export function useNow(): number {
  return useSyncExternalStore(
    (l) => {
      waiting.add(l);
      ticking ??= setInterval(() => {
        now = Date.now();
        waiting.forEach((w) => w());
      }, 1_000);
      return () => {
        waiting.delete(l);
        if (waiting.size === 0) {
          clearInterval(ticking);
          ticking = undefined;
        }
      };
    },
    () => now,
  );
}
