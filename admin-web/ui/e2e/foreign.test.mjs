// A session that another core's SMF steers, among all sessions and in what a ban would end. The demo has no such SMF, so the
// session is put into true answers of the API, as `admin-web/src/tests/reading.rs` holds them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, launch, shot, signedIn, still } from "./browser.mjs";
import { client, PLC, start } from "./instance.mjs";

const FOREIGN = {
  id: `${PLC}-00c0ffee00c0ffee`,
  imsi: PLC,
  kind: "foreign",
  dnn: "internet",
  ip: "10.45.0.7",
  prefix: "2001:db8:45:7::/64",
  slice: null,
  pdu_session_id: null,
  smf: "core-smf",
  seid: "00c0ffee00c0ffee",
  gnb: null,
  cell: null,
  tai: null,
  uplink_bps: 50_000_000,
  downlink_bps: 100_000_000,
  connected: true,
  banned: false,
  since: "2026-11-23T03:00:00Z",
};

let instance, api, browser, fields;

before(async () => {
  instance = await start();
  api = client(instance);
  const { items } = await api("GET", "sessions");
  fields = Object.keys(items[0]);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await instance?.stop();
});

/** Answers of the API, with the session in them; `ended` takes the names of those that are ended. */
async function withForeign(page, ended) {
  let headers;
  await page.route(/\/api\/v1\/sessions(\?|$)/, async (route) => {
    const response = await route.fetch();
    const { "content-length": _, "content-type": __, ...rest } = response.headers();
    headers = rest;
    const answer = await response.json();
    if (!ended.includes(FOREIGN.id)) answer.items.unshift(FOREIGN);
    await route.fulfill({ response, json: answer });
  });
  await page.route(/\/api\/v1\/sessions\/[^?]/, async (route) => {
    ended.push(decodeURIComponent(new URL(route.request().url()).pathname.split("/").at(-1)));
    await route.fulfill({ status: 204, headers });
  });
  await page.route(/\/api\/v1\/revocations$/, async (route) => {
    const asked = route.request().postDataJSON();
    assert.equal(asked.dry_run, true, "nobody is cut here");
    const response = await route.fetch();
    const answer = await response.json();
    answer.sessions += 1;
    answer.affected.find((a) => a.imsi === PLC).sessions.push(FOREIGN);
    await route.fulfill({ response, json: answer });
  });
}

for (const [lang, kind, end] of [["en", "another core's", "End the session"], ["ja", "他のコア", "セッションを終了"]]) {
  test(`a session of another core's SMF is seen, and ended, in ${lang}`, async () => {
    assert.deepEqual(Object.keys(FOREIGN).sort(), [...fields].sort(), "the fields of a true answer");
    const { page, faults, close } = await signedIn(browser, instance, { lang });
    const ended = [];
    await withForeign(page, ended);
    await page.goto(`${instance.base}/sessions`);
    const row = page.locator(".data-item", { hasText: "core-smf" });
    await row.waitFor();
    const text = await row.innerText();
    for (const shown of [PLC, FOREIGN.ip, FOREIGN.dnn, kind]) assert.ok(text.includes(shown), `${shown} in ${text}`);
    await accessible(page, `sessions with a foreign one in ${lang}`);
    await page.goto(`${instance.base}/sessions?open=${encodeURIComponent(FOREIGN.id)}`);
    const side = page.getByRole("dialog");
    for (const shown of [FOREIGN.prefix, FOREIGN.seid, "50 Mbit/s", "100 Mbit/s"]) await side.getByText(shown).waitFor();
    await still(page);
    await shot(page, `session-foreign-${lang}`);
    await side.getByRole("button", { name: end }).click();
    await page.getByRole("dialog").last().getByRole("button", { name: end }).last().click();
    await page.locator(".data-item", { hasText: "core-smf" }).waitFor({ state: "detached" });
    assert.deepEqual(ended, [FOREIGN.id]);
    assert.deepEqual(faults, []);
    await close();
  });
}

test("a ban says that it would end a session of another core's SMF", async () => {
  const { page, faults, close } = await signedIn(browser, instance);
  await withForeign(page, []);
  await page.goto(`${instance.base}/lost?q=${PLC}&scope=sim&value=${PLC}`);
  const line = page.locator(".cut .news li", { hasText: PLC });
  await line.waitFor();
  assert.match(await line.innerText(), new RegExp(`${FOREIGN.dnn} ${FOREIGN.ip}`));
  await accessible(page, "what a ban would end, with a foreign session");
  assert.deepEqual(faults, []);
  await close();
});
