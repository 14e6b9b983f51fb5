// Search by anything that is known of a SIM, a person, a device or a site. The same matches serve the search field and
// the lost device: each names the scope by which it can be banned.

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { to } from "../url/state";
import { api, must } from "./client";
import { folded } from "./fold";

export interface Match {
  scope: "sim" | "person" | "device" | "imei" | "group" | "site";
  value: string;
  /** Label, name, owner: what people know it by. */
  words: string;
  /** Its state, for a SIM. */
  state?: string;
  href: string;
}

/** The API asks for two characters at least. */
const LEAST = 2;

/** People, devices and sites stand before their SIMs: a person is more likely meant than one of the SIMs. */
export async function find(text: string, most: number): Promise<Match[]> {
  const q = folded(text);
  const query = { q, limit: most };
  const [hits, people, devices, sites] = await Promise.all([
    must(api.GET("/api/v1/search", { params: { query } })),
    must(api.GET("/api/v1/people", { params: { query } })),
    must(api.GET("/api/v1/devices", { params: { query } })),
    must(api.GET("/api/v1/sites", { params: { query } })),
  ]);
  const imei = /^\d{14,16}$/.test(q) && !hits.items.some((h) => h.imsi === q);
  return [
    ...people.items.map((p): Match => ({ scope: "person", value: p.id, words: p.name, href: to("/people", { open: p.id }) })),
    ...devices.items.map(
      (d): Match => ({ scope: "device", value: d.id, words: [d.label, d.owner].filter(Boolean).join(" · "), href: to("/devices", { open: d.id }) }),
    ),
    ...hits.items.map((h): Match => {
      const words = [h.label, h.person?.name, h.device?.label || h.device?.id].filter(Boolean).join(" · ");
      return { scope: "sim", value: h.imsi, words, state: h.state, href: `/sims/${h.imsi}` };
    }),
    ...sites.items.map((s): Match => ({ scope: "site", value: s.id, words: s.name, href: to("/sites", { open: s.id }) })),
    // A device that no list knows can be banned by its number, whatever SIM is in it.
    ...(imei ? [{ scope: "imei", value: q, words: "", href: to("/lost", { q, scope: "imei", value: q }) } satisfies Match] : []),
  ];
}

export function useFind(text: string, most: number) {
  const q = useQuery({
    queryKey: ["find", text, most],
    queryFn: () => find(text, most),
    enabled: text.trim().length >= LEAST,
    placeholderData: keepPreviousData,
  });
  return { matches: text.trim().length < LEAST ? [] : (q.data ?? []), error: q.error, busy: q.isFetching, done: q.isFetched };
}
