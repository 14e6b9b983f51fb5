// A device's health, held against what the groups of its SIMs ask.

import { useQuery } from "@tanstack/react-query";
import { api, must } from "../../api/client";
import { Health } from "./Health";

/** SIMs whose groups are read. */
const MOST = 5;

export function DeviceHealth({ device }: { device: string }) {
  const q = useQuery({
    queryKey: ["sims", "theirs", { device }],
    queryFn: () => must(api.GET("/api/v1/sims", { params: { query: { device, limit: MOST } } })),
  });
  const groups = [...new Set(q.data?.items.flatMap((s) => s.groups) ?? [])];
  return <Health device={device} groups={groups} level={3} />;
}
