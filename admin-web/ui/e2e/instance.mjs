// A real instance with seeded data: `sekisho demo` plays its story (two UEs, traffic, a ban), and more is put in by the
// API. With SEKISHO_API, SEKISHO_TOKEN and SEKISHO_PASSWORD a running one is taken instead, which must have the story behind it.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";

/** The binary that is judged. */
export const BINARY = process.env.SEKISHO_BIN ?? fileURLToPath(new URL("../../../target/debug/sekisho", import.meta.url));
/** The demo's factory PLC, which is still connected when the story ends. */
export const PLC = "001010000000002";

/**
 * Starts it; `password` is that of its operator `demo`.
 * @returns {Promise<{ base: string, token: string, password: string, stop: () => Promise<void> }>}
 */
export async function start() {
  const { SEKISHO_API: base, SEKISHO_TOKEN: token, SEKISHO_PASSWORD: password } = process.env;
  if (base && token && password) return { base, token, password, stop: async () => {} };
  const child = spawn(BINARY, ["demo", "--lang", "en", "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const told = new Promise((resolve, reject) => {
    const hear = (d) => {
      said += d;
      const api = said.match(/API:\s+(http\S+?)\/api\/v1/);
      const own = said.match(/password (\S+)/);
      const secret = said.match(/token:\s+(\S+)/);
      if (api && own && secret) resolve({ base: api[1], password: own[1], token: secret[1] });
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`sekisho demo ended with ${code}:\n${said}`)));
  });
  const known = await told;
  const stop = () =>
    new Promise((resolve) => {
      child.removeAllListeners("exit");
      child.on("exit", () => resolve());
      child.kill("SIGINT");
    });
  await illIsTold(client(known));
  return { ...known, stop };
}

/** Devices that are not as they should be are looked at on many screens: their SIMs are not to be kept apart at once. */
export function illIsTold(api) {
  return api("PUT", "alert-rules", { not_compliant: { response: "notify" } }, { "if-match": "*" });
}

/** The API as a script has it. */
export function client({ base, token }) {
  return async (method, path, body, headers = {}) => {
    const text = typeof body === "string";
    const r = await fetch(`${base}/api/v1/${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(method === "GET" ? {} : { "idempotency-key": randomBytes(16).toString("hex") }),
        ...(body === undefined ? {} : { "content-type": text ? "text/csv" : "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : text ? body : JSON.stringify(body),
    });
    const answer = r.status === 204 ? undefined : await r.json();
    // What is there already was seeded by the run before.
    if (!r.ok && r.status !== 409) throw new Error(`${method} ${path}: ${r.status} ${JSON.stringify(answer)}`);
    return answer;
  };
}

/** A file of SIMs with keys from this run's randomness: a shared key would be warned of. */
export function csv(first, count) {
  const key = () => randomBytes(16).toString("hex");
  const rows = Array.from({ length: count }, (_, i) => {
    const imsi = `00101${String(first + i).padStart(10, "0")}`;
    return `${imsi},${key()},${key()},Laptop ${first + i},office,corp`;
  });
  return ["imsi,k,opc,label,groups,dnns", ...rows, ""].join("\n");
}

/** People, devices, a site, equipment, a planned change, an operator with two grants, and SIMs enough for a long table. */
export async function seed(api, sims) {
  await api("POST", "people", { id: "tanaka", name: "田中 花子", employee: "E-100", mail: "tanaka@example.jp" });
  await api("POST", "people", { id: "sato", name: "佐藤 太郎", employee: "E-101" });
  await api("POST", "sites", { id: "osaka", name: "大阪工場", tacs: [1], cells: ["000000010"] });
  await api("POST", "devices", { id: "plc-0042", kind: "plc", label: "Press line 4", owner: "tanaka" });
  const plc = await api("GET", `sims/${PLC}`);
  await api("PATCH", `sims/${PLC}`, { device_id: "plc-0042", person: "tanaka", site: "osaka" }, { "if-match": `"${plc.version}"` });
  await known(api);
  const entry = { colour: "grey", label: "Loan phones", reason: "shared at the desk" };
  await api("PUT", "equipment/35693803", entry, { "if-match": "*" });
  const plan = { at: "2099-01-31T09:00:00Z", action: "suspend", reason: "end of the line" };
  await api("POST", `sims/${PLC}/schedule`, plan);
  const grants = [{ roles: ["viewer"] }, { roles: ["soc"], sites: ["osaka"] }];
  await api("POST", "operators", { name: "two-hats", display: "山本 恵", grants });
  const job = await api("POST", "imports?mode=all-or-nothing&reason=seed", csv(1000, sims));
  for (let state = job; !state.ended; state = await api("GET", `jobs/${job.id}`)) await new Promise((r) => setTimeout(r, 100));
}

/** What a department gets, and one that has it. */
export const TEMPLATE = `
[[templates]]
name = "department"
label = "What a department gets"
parameters = ["group", "ports"]
[[templates.rules]]
name = "agent"
order = 40
subject = "group:\${group}"
app = "intranet"
direction = "in"
to = "\${ports}"
verdict = "allow"
[[uses]]
name = "line-4"
template = "department"
with = { group = "factory", ports = ["tcp/22"] }
`;

/** What is known of the PLC, who tells of it, a rule that asks about it, and a grant. */
async function known(api) {
  const { version: _, created: __, changed: ___, ...factory } = await api("GET", "groups/factory");
  const posture = { must: ["os-version", "firewall", "disk-encryption"], should: ["screen-lock"], os: { linux: "5.10" } };
  await api("PUT", "groups/factory", { ...factory, posture }, { "if-match": "*" });
  const told = { firewall: true, disk_encryption: false, os: { name: "linux", version: "4.19" } };
  await api("PUT", "posture/plc-0042", told, { "if-match": "*" });
  await api("POST", "posture/sources", { name: "mdm", label: "Device management", kind: "webhook", silent_after_s: 7200 });
  const ssf = { issuer: "https://idp.example.jp", audience: "https://sekisho.example.jp", jwks_uri: "https://idp.example.jp/jwks.json", assured_by: ["nist-aal2"], assured_for_s: 28800 };
  await api("POST", "posture/sources", { name: "idp", kind: "ssf", ssf });
  const rule = { name: "osaka-only", order: 12, subject: "group:factory", app: "intranet", direction: "out", verdict: "allow" };
  await api("POST", "rules", { ...rule, posture: "compliant", sites: ["osaka"], assured: true, risk_at_most: "medium" });
  const until = new Date(Date.now() + 7_200_000).toISOString();
  await api("POST", "rules", { name: "no-intranet", order: 5, subject: "group:factory", app: "intranet", direction: "out", verdict: "deny", monitor_until: until });
  const { text } = await api("GET", "policies/text");
  if (!text.includes("[[templates]]")) await api("POST", "policies/apply", { text: text + TEMPLATE, reason: "seed" });
  await api("POST", "grants", { to: `sim:${PLC}`, app: "intranet", reason: "pump 3 is being repaired", until });
}
