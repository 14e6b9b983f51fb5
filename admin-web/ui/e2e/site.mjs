// A real instance amid a simulated site that the tests themselves move: `sekisho lab`, with devices that attach and send.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BINARY, client, illIsTold } from "./instance.mjs";

const run = promisify(execFile);
const CONFIG = fileURLToPath(new URL("../../../sekisho.example.toml", import.meta.url));

/** A port that is free. */
function port() {
  return new Promise((resolve) => {
    const s = createServer().listen(0, "127.0.0.1", () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}

/**
 * Starts it with `cards` SIMs from 001010000000001 on, in group `office`, which may reach what counts datagrams at the
 * intranet; an operator `demo` can sign in. `lab` runs a verb of `sekisho lab`; `configured` makes its configuration of the example.
 */
export async function site(cards, configured = (text) => text) {
  const place = await mkdtemp(join(tmpdir(), "sekisho-e2e-"));
  const config = join(place, "sekisho.toml");
  await writeFile(config, configured(await readFile(CONFIG, "utf8")));
  const at = `127.0.0.1:${await port()}`;
  const base = `http://${at}`;
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("SEKISHO_"));
  const own = { SEKISHO_CONFIG: config, SEKISHO_PATHS_DATA: join(place, "data"), SEKISHO_API_LISTEN: at, SEKISHO_API: base, LANG: "C.UTF-8" };
  const sekisho = async (...words) => (await run(BINARY, words, { env: { ...Object.fromEntries(kept), ...own } })).stdout.trim();
  const token = await sekisho("init");
  const file = join(place, "sims.csv");
  const sims = await sekisho("lab", "cards", String(cards));
  await writeFile(file, `${sims}\n`);
  await sekisho("lab", "up", "--cards", file);
  const stop = async () => {
    await sekisho("lab", "down");
    await rm(place, { recursive: true, force: true });
  };
  try {
    const api = client({ base, token });
    await illIsTold(api);
    await api("POST", "data-networks", { dnn: "corp", pool: "10.60.0.0/16" });
    await api("POST", "groups", { name: "office", label: "Office laptops" });
    await api("POST", "apps", { name: "telemetry", prefixes: ["10.10.0.10/32"], services: ["udp/9000"] });
    const rule = { name: "office-telemetry", order: 10, subject: "group:office", app: "telemetry", direction: "out", verdict: "allow" };
    await api("POST", "rules", rule);
    const job = await api("POST", "imports?mode=all-or-nothing", `${sims}\n`);
    for (let state = job; !state.ended; state = await api("GET", `jobs/${job.id}`)) await new Promise((r) => setTimeout(r, 50));
    const operator = await api("POST", "operators", { name: "demo", display: "Demo", grants: [{ roles: ["owner"] }] });
    const first = await api("POST", "sign-in", { name: "demo", password: operator.password });
    const password = randomBytes(16).toString("hex");
    await client({ base, token: first.token })("PUT", "me/password", { old: operator.password, new: password }, { "if-match": "*" });
    return { base, token, password, api, lab: (...words) => sekisho("lab", ...words), stop };
  } catch (e) {
    await stop();
    throw e;
  }
}
