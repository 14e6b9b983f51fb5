// The command line's words for what the API was asked. What has no verb of its own has no line here.

import { quote } from "./shell";

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
      // A value that begins with a hyphen would be taken for an option.
      const glue = String(v).startsWith("-") ? "=" : " ";
      out.push(v === true ? ` ${option}` : ` ${option}${glue}${quote(String(v))}`);
    }
  }
  return out.join("");
}

const WHY = { reason: "--reason", ticket: "--ticket", dry_run: "--dry-run" };
const PERSON = { name: "--name", mail: "--mail", employee: "--employee", external: "--external", ends_at: "--ends-at" };
const DEVICE = { label: "--label", kind: "--kind", imei: "--imei", serial: "--serial", owner: "--owner" };
const SITE = { name: "--name", description: "--description", tacs: "--tac", cells: "--cell", time_zone: "--time-zone" };
const APP = { prefixes: "--prefix", services: "--service", names: "--server-name", names_from: "--names-from", dscp: "--dscp", qfi: "--qfi", label: "--label" };
const NETWORK = { pool: "--pool", pool6: "--pool6", dns: "--dns", mtu: "--mtu" };
const RULE = { order: "--order", subject: "--subject", app: "--app", verdict: "--verdict", to: "--in-to", rate_ul_bps: "--rate-ul-bps", rate_dl_bps: "--rate-dl-bps", record: "--record", hours: "--hours", until: "--until", posture: "--posture", sites: "--site", not_sites: "--not-site", radio: "--radio", risk_at_most: "--risk-at-most", risk_at_least: "--risk-at-least", models: "--model", monitor_until: "--monitor-until" };
const GRANT = { app: "--app", reason: "--reason", until: "--until", from: "--from" };
const SIMS = { state: "--state", group: "--group", q: "--text", device: "--device", person: "--person", site: "--site", sort: "--sort" };
const RIGHTS = { roles: "--role", scopes: "--scope", groups: "--limit-group", sites: "--limit-site" };
const TEXT = { q: "--text" };
const AUDIT = { object: "--object", actor: "--actor", action: "--action", request_id: "--request-id", from: "--from", until: "--until" };
const ALERTS = { state: "--state", kind: "--kind", severity: "--severity", imsi: "--sim" };
const BULK = { state: "--state", groups_add: "--add-group", groups_remove: "--remove-group", ...WHY };
const FOUND = { state: "--with-state", group: "--group", q: "--text", site: "--at-site" };

/** The rights of an operator with one grant; several are not said in one line. */
function rights(body: unknown): string | undefined {
  const grants = (body as { grants?: unknown[] | null } | undefined)?.grants;
  if (!grants) return "";
  return grants.length === 1 ? options(grants[0], RIGHTS) : undefined;
}

/** Whether a proof is asked for; `false` is said, too. */
function assured(body: unknown): string {
  const v = (body as { assured?: boolean | null } | undefined)?.assured;
  return v == null ? "" : ` --assured ${v}`;
}

/** To whom a grant is given, as an option. */
function grantee(body: unknown): string {
  const [kind = "", id = ""] = String((body as { to?: string } | undefined)?.to ?? "").split(":");
  return ` --${kind === "person" ? "person" : "sim"} ${quote(id)}`;
}

/** A part of the path. */
const part = (a: Asked, name: string): string => quote(a.path[name] ?? "");
const field = (body: unknown, name: string): string =>
  quote(String((body as Record<string, unknown> | undefined)?.[name] ?? ""));

const STATE: Record<string, string> = { suspended: "suspend", active: "resume", retired: "retire" };

const LINES: Record<string, (a: Asked) => string | undefined> = {
  "GET /api/v1/sims": (a) => `sim list${options(a.query, SIMS)}`,
  "GET /api/v1/sims/{imsi}": (a) => `sim show ${part(a, "imsi")}`,
  "GET /api/v1/sims/{imsi}/history": (a) => `sim history ${part(a, "imsi")}`,
  "GET /api/v1/sims/{imsi}/devices": (a) => `sim devices ${part(a, "imsi")}`,
  "GET /api/v1/sims/{imsi}/binding": (a) => `sim binding show ${part(a, "imsi")}`,
  "DELETE /api/v1/sims/{imsi}/binding": (a) => `sim binding remove ${part(a, "imsi")}`,
  "POST /api/v1/sims/{imsi}/binding/reset": (a) => `sim binding reset ${part(a, "imsi")}${options(a.body, { reason: "--reason" })}`,
  "GET /api/v1/sims/{imsi}/routes": (a) => `sim route list ${part(a, "imsi")}`,
  "GET /api/v1/sims/{imsi}/facts": (a) => `sim facts ${part(a, "imsi")}`,
  "POST /api/v1/sims/{imsi}/assurance": (a) =>
    `sim assure ${part(a, "imsi")}${options(a.body, { until: "--until", reason: "--reason" })}`,
  "POST /api/v1/sims/{imsi}/assurance/withdraw": (a) => `sim unassure ${part(a, "imsi")}${options(a.body, { reason: "--reason" })}`,
  "PUT /api/v1/sims/{imsi}/usual-sites": (a) => {
    const sites = (a.body as { sites?: string[] } | undefined)?.sites ?? [];
    return `sim usual-sites ${[part(a, "imsi"), ...sites.map((s) => quote(s))].join(" ")}`;
  },
  "GET /api/v1/posture/{device}": (a) => `posture show ${part(a, "device")}`,
  "POST /api/v1/posture": () => "posture report reports.json",
  "GET /api/v1/posture/sources": () => "posture sources",
  "POST /api/v1/posture/sources": () => "posture source source.json",
  "PUT /api/v1/posture/sources/{name}": (a) => `posture source source.json --replace ${part(a, "name")}`,
  "POST /api/v1/posture/sources/{name}/secret": (a) => `posture secret ${part(a, "name")}`,
  "DELETE /api/v1/posture/sources/{name}": (a) => `posture remove ${part(a, "name")}`,
  "GET /api/v1/sims/{imsi}/schedule": (a) => `sim schedule ${part(a, "imsi")}`,
  "POST /api/v1/sims/{imsi}/schedule": (a) =>
    `sim schedule ${part(a, "imsi")} ${field(a.body, "action")}${options(a.body, { at: "--at", reason: "--reason", ticket: "--ticket" })}`,
  "POST /api/v1/sims/{imsi}/end-date": (a) =>
    `sim end-date ${part(a, "imsi")} ${(a.body as { at?: string | null }).at ?? "none"}${options(a.body, { reason: "--reason", ticket: "--ticket" })}`,
  "DELETE /api/v1/schedules/{id}": (a) => `sim unschedule ${part(a, "id")}`,
  "POST /api/v1/sims/bulk": (a) => {
    const body = (a.body ?? {}) as { imsis?: string[] | null; filter?: unknown; expect?: number; state?: string | null; site?: string | null };
    const which = body.imsis ? body.imsis.map((i) => ` ${quote(i)}`).join("") : options(body.filter, FOUND);
    const site = "site" in body ? ` --site ${quote(body.site ?? "")}` : "";
    return `sim bulk${which} --expect ${body.expect ?? 0}${options(body, BULK)}${site}`;
  },
  "GET /api/v1/sims/{imsi}/timeline": (a) => `sim timeline ${part(a, "imsi")}`,
  "POST /api/v1/sims/{imsi}/state": (a) => {
    const verb = STATE[String((a.body as { state?: string } | undefined)?.state)];
    return verb && `sim ${verb} ${part(a, "imsi")}${options(a.body, WHY)}`;
  },
  "PATCH /api/v1/sims/{imsi}": (a) => {
    const body = a.body as Record<string, unknown>;
    if (Array.isArray(body["groups"])) return `sim groups ${[part(a, "imsi"), ...body["groups"].map((g) => quote(String(g)))].join(" ")}`;
    const link = options(body, { device_id: "--device", person: "--person", site: "--site" });
    return link ? `sim link ${part(a, "imsi")}${link}` : undefined;
  },
  "POST /api/v1/sims/{imsi}/ban": (a) => `ban ${part(a, "imsi")}${options(a.body, { state: "--state", ...WHY })}`,
  "POST /api/v1/sims/{imsi}/unban": (a) => `unban ${part(a, "imsi")}${options(a.body, { state: "--state", ...WHY })}`,
  "POST /api/v1/sims/{imsi}/quarantine": (a) => `quarantine ${part(a, "imsi")}${options(a.body, WHY)}`,
  "POST /api/v1/sims/{imsi}/quarantine/release": (a) =>
    `quarantine ${part(a, "imsi")} --release${options(a.body, WHY)}`,
  "POST /api/v1/imports": (a) => {
    const mode = { "dry-run": " --dry-run", "valid-rows": " --valid-rows" }[a.query["mode"] ?? ""] ?? "";
    const replace = a.query["replace_keys"] === "true" ? " --replace-keys" : "";
    return `sim import sims.csv${mode}${replace}${options(a.query, { reason: "--reason", ticket: "--ticket" })}`;
  },
  "GET /api/v1/search": (a) => `search ${quote(a.query["q"] ?? "")}`,
  "GET /api/v1/overview": () => "overview",
  "GET /api/v1/events/security": (a) => `events${options(a.query, { limit: "--last" })}`,
  "GET /api/v1/addresses": (a) =>
    `address${a.query["address"] ? ` ${quote(a.query["address"])}` : ""}${options(a.query, { imsi: "--sim", at: "--at" })}`,
  "GET /api/v1/system/findings": () => "findings",
  "POST /api/v1/system/hold/confirm": (a) => `restore confirm${options(a.body, { banned: "--banned", reason: "--reason" })}`,
  "GET /api/v1/backups": () => "backup list",
  "POST /api/v1/backups": (a) => `backup make ${field(a.body, "name")}`,
  "GET /api/v1/equipment": (a) => `equipment list${options(a.query, { colour: "--colour", ...TEXT })}`,
  "PUT /api/v1/equipment/{pattern}": (a) =>
    `equipment add ${part(a, "pattern")}${options(a.body, { colour: "--colour", label: "--label", reason: "--reason" })}`,
  "DELETE /api/v1/equipment/{pattern}": (a) => `equipment remove ${part(a, "pattern")}`,
  "POST /api/v1/equipment/{pattern}/unban": (a) =>
    `unban --imei ${part(a, "pattern")}${options(a.body, { reason: "--reason", ticket: "--ticket" })}`,
  "GET /api/v1/groups/{name}/binding": (a) => `sim binding show group:${part(a, "name")}`,
  "DELETE /api/v1/groups/{name}/binding": (a) => `sim binding remove group:${part(a, "name")}`,
  "GET /api/v1/home-network-keys": () => "home-key list",
  "POST /api/v1/home-network-keys": (a) => `home-key add${options(a.body, { profile: "--profile", id: "--id" })}`,
  "DELETE /api/v1/home-network-keys/{id}": (a) => `home-key remove ${part(a, "id")}`,
  "GET /api/v1/me/passkeys": () => "passkeys list",
  "DELETE /api/v1/me/passkeys/{id}": (a) => `passkeys remove ${part(a, "id")}`,
  "GET /api/v1/me/sign-ins": () => "sign-ins list",
  "DELETE /api/v1/me/sign-ins/{id}": (a) => `sign-ins end ${part(a, "id")}`,
  "POST /api/v1/sign-out": () => "sign-out",
  "POST /api/v1/jobs/{id}/undo": (a) => `sim import undo ${part(a, "id")}`,
  "POST /api/v1/revocations": (a) => {
    const scope = (a.body as { scope?: string } | undefined)?.scope;
    const option = scope === "sim" ? "imsi" : scope;
    return `ban --${option} ${field(a.body, "value")}${options(a.body, { state: "--state", ...WHY })}`;
  },
  "GET /api/v1/revocations": (a) => `revocation list${options(a.query, { imsi: "--sim", kind: "--kind" })}`,
  "GET /api/v1/revocations/{id}": (a) => `revocation show ${part(a, "id")}`,
  "GET /api/v1/unban-requests": () => "revocation requests",
  "POST /api/v1/unban-requests/{id}/approve": (a) => `revocation approve ${part(a, "id")}${options(a.body, WHY)}`,
  "POST /api/v1/unban-requests/{id}/refuse": (a) => `revocation refuse ${part(a, "id")}${options(a.body, WHY)}`,
  "GET /api/v1/people": (a) => `person list${options(a.query, TEXT)}`,
  "GET /api/v1/people/{id}": (a) => `person show ${part(a, "id")}`,
  "POST /api/v1/people": (a) => `person add ${field(a.body, "id")}${options(a.body, PERSON)}`,
  "PUT /api/v1/people/{id}": (a) => `person change ${part(a, "id")}${options(a.body, PERSON)}`,
  "DELETE /api/v1/people/{id}": (a) => `person remove ${part(a, "id")}`,
  "GET /api/v1/devices": (a) => `device list${options(a.query, TEXT)}`,
  "GET /api/v1/devices/{id}": (a) => `device show ${part(a, "id")}`,
  "POST /api/v1/devices": (a) => `device add ${field(a.body, "id")}${options(a.body, DEVICE)}`,
  "PUT /api/v1/devices/{id}": (a) => `device change ${part(a, "id")}${options(a.body, DEVICE)}`,
  "DELETE /api/v1/devices/{id}": (a) => `device remove ${part(a, "id")}`,
  "GET /api/v1/sites": (a) => `site list${options(a.query, TEXT)}`,
  "GET /api/v1/sites/{id}": (a) => `site show ${part(a, "id")}`,
  "POST /api/v1/sites": (a) => `site add ${field(a.body, "id")}${options(a.body, SITE)}`,
  "PUT /api/v1/sites/{id}": (a) => `site change ${part(a, "id")}${options(a.body, SITE)}`,
  "DELETE /api/v1/sites/{id}": (a) => `site remove ${part(a, "id")}`,
  "GET /api/v1/groups": () => "group list",
  "POST /api/v1/groups": (a) => `group add ${field(a.body, "name")}${options(a.body, { label: "--label" })}`,
  "DELETE /api/v1/groups/{name}": (a) => `group remove ${part(a, "name")}`,
  "POST /api/v1/groups/{name}/panic": (a) => `panic ${part(a, "name")}${options(a.body, WHY)}`,
  "POST /api/v1/groups/{name}/calm": (a) => `calm ${part(a, "name")}${options(a.body, WHY)}`,
  "GET /api/v1/apps": () => "app list",
  "POST /api/v1/apps": (a) => `app add ${field(a.body, "name")}${options(a.body, APP)}`,
  "DELETE /api/v1/apps/{name}": (a) => `app remove ${part(a, "name")}`,
  "GET /api/v1/data-networks": () => "data-network list",
  "POST /api/v1/data-networks": (a) => `data-network add ${field(a.body, "dnn")}${options(a.body, NETWORK)}`,
  "DELETE /api/v1/data-networks/{dnn}": (a) => `data-network remove ${part(a, "dnn")}`,
  "GET /api/v1/rules": () => "rule list",
  "POST /api/v1/rules": (a) => `rule add ${field(a.body, "name")}${options(a.body, RULE)}${assured(a.body)}`,
  "DELETE /api/v1/rules/{name}": (a) => `rule remove ${part(a, "name")}`,
  "GET /api/v1/decisions": (a) =>
    `policy explain${options(a.query, { imsi: "--sim", address: "--to", app: "--app", service: "--service", at: "--at" })}` +
    (a.query["direction"] === "in" ? " --in" : ""),
  "GET /api/v1/alert-rules": () => "alert rules",
  "PUT /api/v1/alert-rules": () => "alert set-rules alert-rules.json",
  "GET /api/v1/risk-profile": () => "risk show",
  "PUT /api/v1/risk-profile": () => "risk set risk.json",
  "POST /api/v1/risk-profile/plan": () => "risk plan risk.json",
  "POST /api/v1/sims/{imsi}/risk": (a) => `risk plan risk.json --sim ${part(a, "imsi")}`,
  "GET /api/v1/policies": () => "policy status",
  "GET /api/v1/policies/text": (a) => `policy show${options(a.query, { generation: "--generation" })}`,
  "POST /api/v1/policies/plan": () => "policy plan policy.toml",
  "POST /api/v1/policies/apply": (a) => `policy apply policy.toml${options(a.body, { if_generation: "--if-generation", reason: "--reason" })}`,
  "POST /api/v1/policies/replay": (a) => `policy replay policy.toml${options(a.body, { from: "--from", to: "--to" })}`,
  "GET /api/v1/grants": (a) => `grant list${a.query["all"] === "true" ? " --all" : ""}`,
  "POST /api/v1/grants": (a) => `grant add${grantee(a.body)}${options(a.body, GRANT)}`,
  "POST /api/v1/grants/{id}/approve": (a) => `grant approve ${part(a, "id")}${options(a.body, { reason: "--reason" })}`,
  "POST /api/v1/grants/{id}/revoke": (a) => `grant revoke ${part(a, "id")}${options(a.body, { reason: "--reason" })}`,
  "GET /api/v1/policies/monitored": () => "policy monitored",
  "GET /api/v1/policies/analysis": () => "policy analyse",
  "GET /api/v1/policies/history": () => "policy history",
  "POST /api/v1/policies/rollback": (a) => {
    const { to } = (a.body ?? {}) as { to?: number | null };
    return `policy rollback${to == null ? "" : ` ${to}`}${options(a.body, { if_generation: "--if-generation", reason: "--reason" })}`;
  },
  "GET /api/v1/sessions": () => "session list",
  "DELETE /api/v1/sessions/{id}": (a) => `session end ${part(a, "id").replace("-", " ")}`,
  "GET /api/v1/flows": (a) => `flows${options(a.query, { imsi: "--sim", address: "--address", verdict: "--verdict", app: "--app", from: "--from", to: "--to" })}`,
  "GET /api/v1/alerts": (a) => `alert list${options(a.query, ALERTS)}`,
  "GET /api/v1/alerts/{id}": (a) => `alert show ${part(a, "id")}`,
  "POST /api/v1/alerts/{id}/acknowledge": (a) => `alert ack ${part(a, "id")}${options(a.body, WHY)}`,
  "POST /api/v1/alerts/{id}/close": (a) => `alert close ${part(a, "id")}${options(a.body, WHY)}`,
  "GET /api/v1/audit/export": (a) => `audit export${options(a.query, { after: "--after" })}`,
  "GET /api/v1/audit": (a) => `audit list${options(a.query, AUDIT)}`,
  "GET /api/v1/operators": () => "operator list",
  "GET /api/v1/operators/{name}": (a) => `operator show ${part(a, "name")}`,
  "POST /api/v1/operators": (a) => {
    const words = rights(a.body);
    return words && `operator add ${field(a.body, "name")}${options(a.body, { display: "--display" })}${words}`;
  },
  "PATCH /api/v1/operators/{name}": (a) => {
    const body = (a.body ?? {}) as { disabled?: boolean | null; second_factor?: boolean | null };
    if (body.disabled != null) return `operator ${body.disabled ? "disable" : "enable"} ${part(a, "name")}`;
    const words = rights(a.body);
    const lost = body.second_factor === false ? " --no-second-factor" : "";
    const said = options(a.body, { display: "--display", new_password: "--new-password" });
    return words === undefined ? undefined : `operator change ${part(a, "name")}${said}${words}${lost}`;
  },
  "GET /api/v1/tokens": () => "token list",
  "POST /api/v1/tokens": (a) =>
    `token create ${field(a.body, "label")}${options(a.body, { ...RIGHTS, addresses: "--address", expires: "--expires" })}`,
  "POST /api/v1/tokens/{id}/resume": (a) => `token resume ${part(a, "id")}`,
  "DELETE /api/v1/tokens/{id}": (a) => `token revoke ${part(a, "id")}`,
  "GET /api/v1/roles": () => "roles",
  "GET /api/v1/me": () => "whoami",
  "GET /api/v1/system": () => "system",
};

export function cliOf(method: string, template: string, asked: Asked): string | undefined {
  const line = LINES[`${method} ${template}`]?.(asked);
  return line ? `sekisho ${line}` : undefined;
}
