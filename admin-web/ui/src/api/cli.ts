// The command line's words for what the API was asked. What has no verb of its own has no line here.

import { quote } from "./trace";

interface Asked {
  path: Record<string, string>;
  query: Record<string, string>;
  body: unknown;
}

/** Options from a body or a query: `--name value`, once for each value of a list. */
function options(from: unknown, names: Record<string, string>): string {
  if (typeof from !== "object" || from === null) return "";
  const out: string[] = [];
  for (const [key, option] of Object.entries(names)) {
    const value = (from as Record<string, unknown>)[key];
    for (const v of Array.isArray(value) ? value : [value]) {
      if (v === undefined || v === null || v === "" || v === false) continue;
      out.push(v === true ? ` ${option}` : ` ${option} ${quote(String(v))}`);
    }
  }
  return out.join("");
}

const WHY = { reason: "--reason", ticket: "--ticket", dry_run: "--dry-run" };
const PERSON = { name: "--name", mail: "--mail", employee: "--employee", external: "--external", ends_at: "--ends-at" };
const DEVICE = { label: "--label", kind: "--kind", imei: "--imei", serial: "--serial", owner: "--owner" };
const SITE = { name: "--name", description: "--description", tacs: "--tac", cells: "--cell" };
const APP = { prefixes: "--prefix", services: "--service", label: "--label" };
const NETWORK = { pool: "--pool", dns: "--dns", mtu: "--mtu" };
const RULE = { order: "--order", subject: "--subject", app: "--app", verdict: "--verdict", to: "--in-to" };
const SIMS = { state: "--state", group: "--group", q: "--text", device: "--device", person: "--person", site: "--site" };

const field = (body: unknown, name: string): string =>
  quote(String((body as Record<string, unknown> | undefined)?.[name] ?? ""));

const STATE: Record<string, string> = { suspended: "suspend", active: "resume", retired: "retire" };

const LINES: Record<string, (a: Asked) => string | undefined> = {
  "GET /api/v1/sims": (a) => `sim list${options(a.query, SIMS)}`,
  "GET /api/v1/sims/{imsi}": (a) => `sim show ${a.path["imsi"]}`,
  "GET /api/v1/sims/{imsi}/timeline": (a) => `sim timeline ${a.path["imsi"]}`,
  "POST /api/v1/sims/{imsi}/state": (a) => {
    const verb = STATE[String((a.body as { state?: string } | undefined)?.state)];
    return verb && `sim ${verb} ${a.path["imsi"]}${options(a.body, WHY)}`;
  },
  "PATCH /api/v1/sims/{imsi}": (a) => {
    const body = a.body as Record<string, unknown>;
    if (Array.isArray(body["groups"])) return `sim groups ${[a.path["imsi"], ...body["groups"]].join(" ")}`;
    const link = options(body, { device_id: "--device", person: "--person", site: "--site" });
    return link ? `sim link ${a.path["imsi"]}${link}` : undefined;
  },
  "POST /api/v1/sims/{imsi}/ban": (a) => `ban ${a.path["imsi"]}${options(a.body, { state: "--state", ...WHY })}`,
  "POST /api/v1/sims/{imsi}/unban": (a) => `unban ${a.path["imsi"]}${options(a.body, { state: "--state", ...WHY })}`,
  "POST /api/v1/sims/{imsi}/quarantine": (a) => `quarantine ${a.path["imsi"]}${options(a.body, WHY)}`,
  "POST /api/v1/sims/{imsi}/quarantine/release": (a) =>
    `quarantine ${a.path["imsi"]} --release${options(a.body, WHY)}`,
  "POST /api/v1/imports": (a) => {
    const mode = { "dry-run": " --dry-run", "valid-rows": " --valid-rows" }[a.query["mode"] ?? ""] ?? "";
    return `sim import sims.csv${mode}`;
  },
  "POST /api/v1/jobs/{id}/undo": (a) => `sim import undo ${a.path["id"]}`,
  "POST /api/v1/revocations": (a) => {
    const scope = (a.body as { scope?: string } | undefined)?.scope;
    const option = scope === "sim" ? "imsi" : scope;
    return `ban --${option} ${field(a.body, "value")}${options(a.body, { state: "--state", ...WHY })}`;
  },
  "GET /api/v1/revocations": (a) => `revocation list${options(a.query, { imsi: "--sim", kind: "--kind" })}`,
  "GET /api/v1/revocations/{id}": (a) => `revocation show ${a.path["id"]}`,
  "GET /api/v1/unban-requests": () => "revocation requests",
  "POST /api/v1/unban-requests/{id}/approve": (a) => `revocation approve ${a.path["id"]}${options(a.body, WHY)}`,
  "POST /api/v1/unban-requests/{id}/refuse": (a) => `revocation refuse ${a.path["id"]}${options(a.body, WHY)}`,
  "GET /api/v1/people": () => "person list",
  "POST /api/v1/people": (a) => `person add ${field(a.body, "id")}${options(a.body, PERSON)}`,
  "PUT /api/v1/people/{id}": (a) => `person change ${a.path["id"]}${options(a.body, PERSON)}`,
  "DELETE /api/v1/people/{id}": (a) => `person remove ${a.path["id"]}`,
  "GET /api/v1/devices": () => "device list",
  "POST /api/v1/devices": (a) => `device add ${field(a.body, "id")}${options(a.body, DEVICE)}`,
  "PUT /api/v1/devices/{id}": (a) => `device change ${a.path["id"]}${options(a.body, DEVICE)}`,
  "DELETE /api/v1/devices/{id}": (a) => `device remove ${a.path["id"]}`,
  "GET /api/v1/sites": () => "site list",
  "POST /api/v1/sites": (a) => `site add ${field(a.body, "id")}${options(a.body, SITE)}`,
  "PUT /api/v1/sites/{id}": (a) => `site change ${a.path["id"]}${options(a.body, SITE)}`,
  "DELETE /api/v1/sites/{id}": (a) => `site remove ${a.path["id"]}`,
  "GET /api/v1/groups": () => "group list",
  "POST /api/v1/groups": (a) => `group add ${field(a.body, "name")}${options(a.body, { label: "--label" })}`,
  "DELETE /api/v1/groups/{name}": (a) => `group remove ${a.path["name"]}`,
  "POST /api/v1/groups/{name}/panic": (a) => `panic ${a.path["name"]}${options(a.body, WHY)}`,
  "POST /api/v1/groups/{name}/calm": (a) => `calm ${a.path["name"]}${options(a.body, WHY)}`,
  "GET /api/v1/apps": () => "app list",
  "POST /api/v1/apps": (a) => `app add ${field(a.body, "name")}${options(a.body, APP)}`,
  "DELETE /api/v1/apps/{name}": (a) => `app remove ${a.path["name"]}`,
  "GET /api/v1/data-networks": () => "data-network list",
  "POST /api/v1/data-networks": (a) => `data-network add ${field(a.body, "dnn")}${options(a.body, NETWORK)}`,
  "DELETE /api/v1/data-networks/{dnn}": (a) => `data-network remove ${a.path["dnn"]}`,
  "GET /api/v1/rules": () => "rule list",
  "POST /api/v1/rules": (a) => `rule add ${field(a.body, "name")}${options(a.body, RULE)}`,
  "DELETE /api/v1/rules/{name}": (a) => `rule remove ${a.path["name"]}`,
  "GET /api/v1/decisions": (a) =>
    a.query["address"] &&
    `policy explain${options(a.query, { imsi: "--sim", address: "--to", service: "--service" })}` +
      (a.query["direction"] === "in" ? " --in" : ""),
  "GET /api/v1/policies": () => "policy show",
  "GET /api/v1/sessions": () => "session list",
  "DELETE /api/v1/sessions/{id}": (a) => `session end ${a.path["id"]?.replace("-", " ")}`,
  "GET /api/v1/flows": (a) => `flows${options(a.query, { imsi: "--sim", verdict: "--verdict", app: "--app" })}`,
  "GET /api/v1/alerts": () => "alert list",
  "GET /api/v1/alerts/{id}": (a) => `alert show ${a.path["id"]}`,
  "POST /api/v1/alerts/{id}/acknowledge": (a) => `alert ack ${a.path["id"]}${options(a.body, WHY)}`,
  "POST /api/v1/alerts/{id}/close": (a) => `alert close ${a.path["id"]}${options(a.body, WHY)}`,
  "GET /api/v1/audit": () => "audit",
  "GET /api/v1/operators": () => "operator list",
  "GET /api/v1/tokens": () => "token list",
  "DELETE /api/v1/tokens/{id}": (a) => `token revoke ${a.path["id"]}`,
  "GET /api/v1/roles": () => "roles",
  "GET /api/v1/me": () => "whoami",
  "GET /api/v1/system": () => "system",
};

export function cliOf(method: string, template: string, asked: Asked): string | undefined {
  const line = LINES[`${method} ${template}`]?.(asked);
  return line ? `sekisho ${line}` : undefined;
}
