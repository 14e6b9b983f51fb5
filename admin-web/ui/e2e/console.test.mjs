// The console against the real binary: every screen in both languages and both themes, and at three
// in the morning on a phone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, launch, shot, signedIn, still } from "./browser.mjs";
import { client, PLC, seed, start } from "./instance.mjs";
import { screens } from "./screens.mjs";

/** SIMs seeded beside the demo's own: more than one page of the table. */
const SIMS = 300;
/** Compressed octets of the first view, all files together. */
const FIRST_VIEW = 250_000;

let instance, api, browser;

before(async () => {
  instance = await start();
  api = client(instance);
  await seed(api, SIMS);
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
    const mine = screens({ imsi: PLC }).filter((_, i) => PAIRS[i % 2].includes(combination));
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

test("a lost device is cut with three clicks, on a phone", async () => {
  const { page, close } = await signedIn(browser, instance, { lang: "ja", scheme: "dark", width: 390, height: 780 });
  await page.goto(`${instance.base}/lost`);
  let clicks = 0;
  const click = async (what) => {
    clicks += 1;
    await what.click();
  };
  const field = page.getByRole("textbox").first();
  await click(field);
  await field.fill("田中");
  await click(page.locator(".match").first());
  await page.getByText("SIM 1 件を停止し、接続中のセッション 1 件を終了します。").waitFor();
  await shot(page, "lost-phone-confirm");
  await click(page.getByRole("button", { name: "今すぐ停止" }));
  await page.getByText("停止しました").waitFor();
  await page.locator(".steps .done").first().waitFor();
  assert.ok(clicks <= 3, `${clicks} clicks`);
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
