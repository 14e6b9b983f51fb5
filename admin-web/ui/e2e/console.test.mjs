// The console against the real binary: every screen in both languages and both themes, without a mouse, with a line that
// breaks, and at three in the morning on a phone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, cutOnAPhone, launch, shot, signedIn, still, tabTo } from "./browser.mjs";
import { client, csv, PLC, seed, start } from "./instance.mjs";
import { line } from "./line.mjs";
import { screens } from "./screens.mjs";
import { until } from "./until.mjs";

/** SIMs seeded beside the demo's own: more than one page of the table. */
const SIMS = 300;
/** Compressed octets of the first view, all files together. */
const FIRST_VIEW = 250_000;

let instance, api, browser, seeded;

before(async () => {
  instance = await start();
  api = client(instance);
  await seed(api, SIMS);
  const system = await api("GET", "system");
  seeded = { imsi: PLC, then: new Date().toISOString(), gnb: system.gnbs[0].name };
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await instance?.stop();
});

/** The first screen in English and light, Japanese and dark; the next in the two others; and so on. */
const PAIRS = [
  [["en", "light"], ["ja", "dark"]],
  [["ja", "light"], ["en", "dark"]],
];

for (const combination of PAIRS.flat()) {
  const [lang, scheme] = combination;
  test(`every second screen in ${lang} and ${scheme}`, async () => {
    const { page, faults, close } = await signedIn(browser, instance, { lang, scheme });
    const mine = screens(seeded).filter((_, i) => PAIRS[i % 2].includes(combination));
    for (const s of mine) {
      await page.goto(instance.base + s.path);
      await page.waitForSelector(s.shows);
      // What slides in is looked at when it stands still.
      await still(page);
      assert.equal(await page.evaluate(() => document.documentElement.lang), lang, s.name);
      await accessible(page, `${s.name} in ${lang}, ${scheme}`);
      await shot(page, `${s.name}-${lang}-${scheme}`);
    }
    assert.deepEqual(faults, []);
    await close();
  });
}

test("the first view is small", async () => {
  const { page, close } = await signedIn(browser, instance);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Network.enable");
  await cdp.send("Network.setCacheDisabled", { cacheDisabled: true });
  const urls = new Map();
  let octets = 0;
  cdp.on("Network.requestWillBeSent", (e) => urls.set(e.requestId, e.request.url));
  cdp.on("Network.loadingFinished", (e) => {
    if (!urls.get(e.requestId)?.includes("/api/")) octets += e.encodedDataLength;
  });
  await page.goto(`${instance.base}/`);
  await page.waitForSelector("canvas");
  console.log(`first view: ${octets} octets compressed`);
  assert.ok(octets > 10_000 && octets <= FIRST_VIEW, `${octets} octets`);
  await close();
});

test("a table that shows nothing new does nothing", async () => {
  const { page, close } = await signedIn(browser, instance);
  await page.goto(`${instance.base}/people`);
  await page.waitForSelector(".data-item");
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable");
  const script = async () => (await cdp.send("Performance.getMetrics")).metrics.find((m) => m.name === "ScriptDuration").value;
  // What draws itself again for ever takes every second whole; the clock of the ages and a read of the list take little.
  const spans = [];
  for (let i = 0; i < 3; i++) {
    const before = await script();
    await new Promise((r) => setTimeout(r, 1000));
    spans.push((await script()) - before);
  }
  assert.ok(Math.min(...spans) < 0.3, `${spans} s of script in each second`);
  await close();
});

test("SIMs are sorted by the server, and the order is in the address", async () => {
  const { page, close } = await signedIn(browser, instance);
  await page.goto(`${instance.base}/sims?q=Laptop`);
  const first = () => page.locator(".data-item").first().getByRole("gridcell").nth(2).innerText();
  await page.getByText(/rows so far/).waitFor();
  const head = page.getByRole("columnheader", { name: "Label" });
  await head.getByRole("button").click();
  await page.waitForURL(/sort=label/);
  await head.getByRole("button").click();
  await page.waitForURL(/sort=-label/);
  await page.locator('[aria-sort="descending"]').waitFor();
  const sorted = await api("GET", "sims?q=Laptop&sort=-label&limit=1");
  await page.locator(".data-item").first().getByText(sorted.items[0].label, { exact: true }).waitFor();
  assert.equal(await first(), sorted.items[0].label);
  // What is scrolled to goes on in the same order, up to the last row.
  await page.locator("[data-row='0']").focus();
  const last = await api("GET", "sims?q=Laptop&sort=label&limit=1");
  await page.keyboard.press("End");
  await page.getByText(/^\d+ rows$/).waitFor();
  await page.keyboard.press("End");
  await page.locator(".data-item").getByText(last.items[0].label, { exact: true }).first().waitFor();
  await close();
});

test("a stale edit shows both versions", async () => {
  const { page, close } = await signedIn(browser, instance);
  await page.goto(`${instance.base}/people?open=sato`);
  await page.getByRole("textbox", { name: "Mail" }).fill("mine@example.jp");
  const { version } = await api("GET", "people/sato");
  await api("PUT", "people/sato", { id: "sato", name: "佐藤 太郎", mail: "theirs@example.jp" }, { "if-match": `"${version}"` });
  await page.getByRole("button", { name: "Save" }).click();
  const both = page.getByRole("alert").filter({ hasText: "Somebody else changed this" });
  await both.waitFor();
  assert.match(await both.innerText(), /mine@example.jp[\s\S]*theirs@example.jp/);
  await accessible(page, "a stale edit");
  await shot(page, "stale-edit");
  assert.equal((await api("GET", "people/sato")).mail, "theirs@example.jp");
  await page.getByRole("button", { name: "Save mine over it" }).click();
  await page.waitForURL((u) => !u.searchParams.has("open"));
  assert.equal((await api("GET", "people/sato")).mail, "mine@example.jp");
  await close();
});

test("a backup is taken and listed", async () => {
  const { page, faults, close } = await signedIn(browser, instance);
  await page.goto(`${instance.base}/backups`);
  await page.getByRole("button", { name: "Take a backup now" }).click();
  await page.getByRole("status").getByText(/^Made/).waitFor();
  const [made] = (await api("GET", "backups")).items;
  assert.match(made.name, /^sekisho-.*\.skbackup$/);
  await page.getByRole("grid").getByText(made.name).waitFor();
  assert.deepEqual(faults, []);
  await close();
});

test("an operator's several grants are changed one by one", async () => {
  const { page, close } = await signedIn(browser, instance);
  await page.goto(`${instance.base}/operators?open=two-hats`);
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("group", { name: "Grant 2" }).waitFor();
  await dialog.getByRole("button", { name: "Add a grant" }).click();
  const third = dialog.getByRole("group", { name: "Grant 3" });
  await third.getByRole("textbox", { name: "Roles" }).fill("auditor");
  await page.keyboard.press("Enter");
  await dialog.getByRole("button", { name: "Remove grant 1" }).click();
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.waitForURL((u) => !u.searchParams.has("open"));
  const { grants } = await api("GET", "operators/two-hats");
  assert.deepEqual(grants.map((g) => [g.roles, g.sites]), [[["soc"], ["osaka"]], [["auditor"], []]]);
  await close();
});

test("without a mouse: from a file to a rule", async () => {
  const { page, faults, close } = await signedIn(browser, instance);
  const key = (k) => page.keyboard.press(k);
  const go = async (name) => {
    await key("Control+k");
    await page.locator("[role=combobox]:focus").waitFor();
    await page.keyboard.type(name);
    await page.getByRole("option", { name: `${name} screen` }).and(page.locator('[aria-selected="true"]')).waitFor();
    await key("Enter");
    // Closing gives the focus back to where it was before: Tab goes on from there.
    await page.getByRole("combobox", { name: "Search" }).waitFor({ state: "hidden" });
  };
  // Asked for before the way there: what is asked right before the key may come too late.
  const chooser = page.waitForEvent("filechooser", { timeout: 60_000 });
  await go("Import");
  await page.waitForURL(/\/import/);
  await tabTo(page, "Choose a file");
  await key("Enter");
  await (await chooser).setFiles({ name: "more.csv", mimeType: "text/csv", buffer: Buffer.from(csv(5000, 3)) });
  await page.getByText("3 new, 0 changed").waitFor();
  await key("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await tabTo(page, "Import 3 lines");
  await key("Enter");
  await page.getByRole("dialog").getByText("all or nothing").waitFor();
  await key("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });

  await go("Apps");
  await page.waitForURL(/\/apps/);
  await tabTo(page, "Add");
  await key("Enter");
  await page.getByRole("dialog").waitFor();
  for (const [name, text] of [[/^Name/, "portal"], [/^Addresses/, "10.10.0.77/32,"], [/^Services/, "tcp/443,"], [/^Server names/, "portal.example.jp,*.portal.example.jp,"]]) {
    await tabTo(page, name);
    await page.keyboard.type(text);
  }
  await tabTo(page, "Add");
  await key("Enter");
  await page.getByRole("gridcell", { name: "portal.example.jp, *.portal.example.jp" }).waitFor();
  assert.deepEqual((await api("GET", "apps/portal")).names, ["portal.example.jp", "*.portal.example.jp"]);

  await go("Rules");
  await page.waitForURL(/\/rules/);
  await tabTo(page, "Add");
  await key("Enter");
  await page.getByRole("dialog").waitFor();
  await tabTo(page, /^Name/);
  await page.keyboard.type("by-keyboard");
  await tabTo(page, /^Who/);
  await page.keyboard.type("sim:001010000005000");
  await tabTo(page, /^App/);
  await page.keyboard.type("portal");
  await tabTo(page, /^Hours/);
  await page.keyboard.type("mon-fri 08:00-18:00 Asia/Tokyo");
  await key("Enter");
  await page.getByRole("gridcell", { name: "by-keyboard" }).waitFor();
  const rule = await api("GET", "rules/by-keyboard");
  assert.deepEqual([rule.subject, rule.app, rule.hours], ["sim:001010000005000", "portal", "mon-fri 08:00-18:00 Asia/Tokyo"]);
  assert.deepEqual(faults, []);
  await close();
});

test("a line that breaks shows its age, and comes back without gaps or doubles", async (t) => {
  const wire = await line(instance.base);
  t.after(() => wire.close());
  const { page, close } = await signedIn(browser, instance, { base: wire.base });
  const seen = () => page.locator("[data-event]").evaluateAll((all) => all.map((e) => Number(e.dataset.event)));
  const newest = async () => (await api("GET", "events/security?limit=12")).items.map((e) => e.id);
  // An event stands in the store a moment after what it tells of was answered: both are read until they say the same.
  const level = () => until("the page shows what is stored", async () => String(await seen()) === String(await newest()));
  // What happened before the page was opened is there.
  await level();
  const imsi = "001010000001005";
  const happen = async () => {
    for (const verb of ["quarantine", "quarantine/release"]) await api("POST", `sims/${imsi}/${verb}`, { reason: "the line" });
  };
  const before = (await newest())[0];
  await happen();
  await page.waitForFunction((id) => Number(document.querySelector("[data-event]")?.dataset.event) > id, before);
  wire.cut();
  await page.getByText(/Connection lost \d+ s ago/).waitFor();
  await shot(page, "line-cut");
  const shown = await seen();
  const known = (await newest())[0];
  for (let i = 0; i < 3; i++) await happen();
  await until("what happens is stored", async () => (await newest()).filter((id) => id > known).length >= 6);
  assert.deepEqual(await seen(), shown, "nothing can have come over a line that is cut");
  wire.mend();
  await level();
  await page.getByText(/^Live, last news/).waitFor();
  const all = await seen();
  assert.equal(new Set(all).size, all.length, "each once");
  assert.equal(await page.getByText(/events were missed/).count(), 0, "and none is lost");
  await close();
});

test("on a phone nothing is wider than the screen", async () => {
  const { page, faults, close } = await signedIn(browser, instance, { lang: "ja", width: 390, height: 780 });
  const wide = () =>
    page.evaluate(() => {
      const main = document.getElementById("main");
      const top = document.querySelector(".top");
      return [main, top].filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => `${e.className || e.id}: ${e.scrollWidth} > ${e.clientWidth}`);
    });
  const found = [];
  for (const s of screens(seeded).filter((x) => ["overview", "lost", "alerts", "sims", "sim", "path", "why", "people", "radios", "health", "policy", "policy-history", "grants", "source", "why-conditions"].includes(x.name))) {
    await page.goto(instance.base + s.path);
    await page.waitForSelector(s.shows);
    await still(page);
    found.push(...(await wide()).map((w) => `${s.name}: ${w}`));
    await accessible(page, `${s.name} on a phone`);
    await shot(page, `phone-${s.name}`);
  }
  assert.deepEqual(found, []);
  assert.deepEqual(faults, []);
  await close();
});

test("a lost device is cut with three clicks, on a phone", async () => {
  const { page, close } = await signedIn(browser, instance, { lang: "ja", scheme: "dark", width: 390, height: 780 });
  await cutOnAPhone(page, instance.base, () => shot(page, "lost-phone-confirm"));
  await accessible(page, "the receipt on a phone");
  await shot(page, "lost-phone-receipt");
  const sim = await api("GET", `sims/${PLC}`);
  assert.equal(sim.state, "lost");
  const sessions = await api("GET", `sessions?imsi=${PLC}`);
  assert.ok(sessions.items.every((s) => s.banned), "whatever is left of its sessions carries nothing");
  await close();
});

test("a passkey is registered, lets its operator in without password, and is removed", async () => {
  // Passkeys are bound to the name; by the address the page says why not.
  const named = { ...instance, base: instance.base.replace("127.0.0.1", "localhost") };
  const byAddress = await browser.newPage();
  await byAddress.goto(`${instance.base}/sign-in/passkey`);
  assert.match(await byAddress.locator("main").innerText(), /bound to the name localhost/);
  assert.equal(await byAddress.locator("form").count(), 0);
  await accessible(byAddress, "the page for passkeys, by an address");
  await byAddress.close();

  const { page, faults, close } = await signedIn(browser, named);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const options = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true };
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: { ...options, isUserVerified: true, automaticPresenceSimulation: true },
  });
  await page.goto(`${named.base}/account`);
  await page.getByLabel("Name of the device").fill("Test device");
  const password = page.getByLabel("My password");
  await password.fill("not the password");
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await page.getByText("it is not your password").first().waitFor();
  await password.fill(instance.password);
  await page.getByRole("button", { name: "Add a passkey" }).click();
  const row = page.getByRole("row", { name: /Test device/ });
  await row.waitFor();
  await accessible(page, "the account with a passkey");
  await shot(page, "passkey");

  // Out, and in again by the device alone. Without its check that it is the right person nobody gets in.
  const leave = async () => {
    await page.context().clearCookies();
    await page.goto(`${named.base}/sign-in?next=/account`);
    await page.getByRole("link", { name: "Sign in by passkey" }).click();
  };
  await leave();
  await accessible(page, "the page for passkeys");
  await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await page.getByRole("button", { name: "Use a passkey" }).click();
  await page.getByText("did not get a passkey").waitFor();
  await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
  const sent = page.waitForRequest((r) => r.method() === "POST" && r.url().endsWith("/sign-in/passkey"));
  await page.getByRole("button", { name: "Use a passkey" }).click();
  const answer = (await sent).postData();
  await row.waitFor();
  const me = await page.evaluate(() => fetch("/api/v1/me").then((r) => r.json()));
  assert.equal(me.operator, "demo");
  // What was sent counts once; another's words count never.
  const again = (body) =>
    page.evaluate(
      (b) => fetch("/sign-in/passkey", { method: "POST", body: b, headers: { "content-type": "application/x-www-form-urlencoded" } }).then((r) => r.status),
      body,
    );
  assert.equal(await again(answer), 401);
  assert.equal(await again("state=AAAA&credential=%7B%22id%22%3A%22AAAA%22%7D"), 401);

  await row.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await row.waitFor({ state: "detached" });
  await leave();
  await page.getByRole("button", { name: "Use a passkey" }).click();
  await page.getByText("this passkey is not known here").waitFor();
  const audit = await api("GET", "audit?limit=50&object=operator:demo");
  const actions = audit.items.map((a) => a.action);
  assert.ok(actions.filter((a) => a === "operator.passkey").length >= 2, actions.join());
  // The refusals above are answered with 401, and Chromium says so.
  assert.deepEqual(faults.filter((f) => !f.includes("401") && !f.includes("422")), []);
  await close();
});
