// Three in the morning: a device is lost while it sends. Whoever is on duty has a phone; the clicks are counted, and so are
// the packets at the receiver.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, cutOnAPhone, launch, shot, signedIn, still } from "./browser.mjs";
import { site } from "./site.mjs";
import { until } from "./until.mjs";
import { missing } from "./watch.mjs";

/** The lost one, and one that is not. */
const LOST = "001010000000001";
const OTHER = "001010000000002";
/** Packets a second of each. */
const RATE = 200;

let instance, browser;

before(async () => {
  instance = await site(2);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await instance?.stop();
});

/** Packets that the gateway has dropped: nobody but the lost one sends what is dropped here, first as banned, then into a tunnel that is gone. */
async function dropped() {
  const r = await fetch(`${instance.base}/metrics`, { headers: { authorization: `Bearer ${instance.token}` } });
  const lines = (await r.text()).split("\n").filter((l) => l.startsWith("sekisho_gateway_dropped_total{"));
  return lines.reduce((sum, l) => sum + Number(l.split(" ").at(-1)), 0);
}

const received = async (...words) => Number(await instance.lab("received", ...words));

test("a lost device is cut by three clicks on a phone, and its traffic stops", async () => {
  const { api, lab } = instance;
  await api("POST", "people", { id: "tanaka", name: "田中 花子", employee: "E-100" });
  const sim = await api("GET", `sims/${LOST}`);
  await api("PATCH", `sims/${LOST}`, { person: "tanaka" }, { "if-match": `"${sim.version}"` });
  await lab("attach", LOST);
  await lab("send", LOST, "--per-second", String(RATE));
  await until("the traffic flows", async () => (await received()) > RATE);

  const { page, faults, close } = await signedIn(browser, instance, { lang: "ja", scheme: "dark", width: 390, height: 780 });
  const receipt = await cutOnAPhone(page, instance.base, async () => {
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `the page is ${wide} px wider than the phone`);
    await shot(page, "cut-confirm-phone");
  });

  // The device goes on sending: the gateway drops it, and the receiver gets nothing.
  const before = await dropped();
  await until("the device still sends", async () => (await dropped()) >= before + RATE);
  assert.equal(await received("--after-ns", String(receipt)), 0, "packets at the receiver after the receipt");
  await accessible(page, "the receipt on a phone");
  await shot(page, "cut-receipt-phone");
  assert.equal((await api("GET", `sims/${LOST}`)).state, "lost");
  await page.goto(`${instance.base}/sims/${LOST}`);
  await page.waitForSelector(".news li");
  await still(page);
  await shot(page, "cut-sim-phone");
  assert.deepEqual(faults, []);
  await close();

  // What stands still is the lost one alone: the same way carries another's packets.
  const quiet = await received();
  await lab("attach", OTHER);
  await lab("send", OTHER, "--per-second", String(RATE));
  await until("another device's traffic flows", async () => (await received()) > quiet + RATE);
});

test("what a page must not do is seen when it does it", async () => {
  const { page, faults, close } = await signedIn(browser, instance);
  assert.deepEqual(faults, []);
  await page.evaluate(() => {
    const image = new Image();
    image.src = "https://example.com/pixel.png";
    document.body.append(image);
  });
  await until("the policy is heard", () => faults.some((f) => f.startsWith("refused by the policy: img-src")));
  await close();
  const good = { "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store" };
  const policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";
  assert.deepEqual(missing("/api/v1/sims", { ...good, "content-security-policy": policy }), []);
  assert.deepEqual(missing("/assets/a.js", { ...good, "cache-control": "immutable" }), []);
  for (const [path, headers] of [
    ["/api/v1/sims", { ...good, "content-security-policy": policy, "cache-control": "private" }],
    ["/", { ...good, "content-security-policy": "default-src 'none'; base-uri 'none'" }],
    ["/", { ...good, "content-security-policy": `${policy}; script-src https://cdn.example` }],
    ["/assets/a.js", { ...good, "x-content-type-options": undefined }],
  ]) {
    assert.ok(missing(path, headers).length > 0, path);
  }
});
