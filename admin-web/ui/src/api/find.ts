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

export async function find(text: string, most: number): Promise<Match[]> {
  const q = folded(text);
  const query = { q, limit: most };
  const [sims, people, devices, sites] = await Promise.all([
    must(api.GET("/api/v1/sims", { params: { query } })),
    must(api.GET("/api/v1/people", { params: { query } })),
    must(api.GET("/api/v1/devices", { params: { query } })),
    must(api.GET("/api/v1/sites", { params: { query } })),
  ]);
  return [
    ...sims.items.map(
      (s): Match => ({ scope: "sim", value: s.imsi, words: [s.label, s.person].filter(Boolean).join(" · "), state: s.state, href: `/sims/${s.imsi}` }),
    ),
    ...people.items.map((p): Match => ({ scope: "person", value: p.id, words: p.name, href: to("/people", { open: p.id }) })),
    ...devices.items.map(
      (d): Match => ({ scope: "device", value: d.id, words: [d.label, d.owner].filter(Boolean).join(" · "), href: to("/devices", { open: d.id }) }),
    ),
    ...sites.items.map((s): Match => ({ scope: "site", value: s.id, words: s.name, href: to("/sites", { open: s.id }) })),
  ];
}

export function useFind(text: string, most: number) {
  const q = useQuery({
    queryKey: ["find", text, most],
    queryFn: () => find(text, most),
    enabled: text.trim() !== "",
    placeholderData: keepPreviousData,
  });
  return { matches: text.trim() === "" ? [] : (q.data ?? []), error: q.error, busy: q.isFetching, done: q.isFetched };
}
