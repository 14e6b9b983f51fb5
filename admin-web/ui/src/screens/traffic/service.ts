// Services as the policy writes them: protocol and port of the side that is opened towards.

import type { Schemas } from "../../api/client";

const PROTOCOLS: Record<number, string> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp" };

/** The service of a flow: `tcp/443`; a protocol without ports by its name alone. */
export function serviceOf(f: Pick<Schemas["Flow"], "protocol" | "peer_port" | "ue_port" | "direction">): string {
  return serviceName(f.protocol, f.direction === "in" ? f.ue_port : f.peer_port);
}

/** By the protocol's number and the port of the side that is opened towards. */
export function serviceName(protocol: number, port: number): string {
  const name = PROTOCOLS[protocol] ?? String(protocol);
  return port ? `${name}/${port}` : name;
}

/** One service of a range: `tcp/5000-5010` → `tcp/5000`. */
export function example(service: string): string {
  return service.replace(/-\d+$/, "");
}
