// The policy as a file, why it says what it says, grants, what is known and who tells it: in the browser, against a real
// instance with a device that sends.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, launch, shot, signedIn, still } from "./browser.mjs";
import { TEMPLATE } from "./instance.mjs";
import { site } from "./site.mjs";
import { until } from "./until.mjs";

const IMSI = "001010000000001";
/** Chromium says of every answer that is no success that it failed to load. */
const own = (faults) => faults.filter((f) => !/status of 4\d\d/.test(f));

let instance, browser;

before(async () => {
  instance = await site(1, (text) => text.replace("#: second_person = false", "second_person = true"));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await instance?.stop();
});

const generation = async () => (await instance.api("GET", "policies/text")).generation;

test("a draft is refused with its place, planned, applied, tried on recorded flows, and had back", async () => {
  const { api, lab } = instance;
  await lab("attach", IMSI);
  await lab("send", IMSI, "--per-second", "20");
  const first = await api("GET", "policies/text");
  const { page, faults, close } = await signedIn(browser, instance);
  await page.goto(`${instance.base}/policy`);
  const editor = page.getByRole("textbox", { name: "Policy file (TOML)" });
  await until("the text is there", async () => (await editor.inputValue()) === first.text);

  // A typo is refused whole: line, column and what to do, beside the line and in a list.
  await editor.fill(first.text.replace('prefixes = ["10.10.0.10/32"]', 'prefixes = ["10.10.0.10/24"]'));
  await page.getByRole("button", { name: "See what would change" }).click();
  await page.getByText("1 error: nothing was changed").waitFor();
  const line = first.text.split("\n").findIndex((l) => l.startsWith("prefixes")) + 1;
  assert.equal(await page.locator(".editor-wrong").innerText(), String(line));
  assert.match(await page.locator(".faults li").innerText(), /10\.10\.0\.0\/24/);
  await accessible(page, "a policy with an error");
  await shot(page, "policy-error");
  await page.getByRole("button", { name: `Line ${line}, column 13` }).click();
  const chosen = await editor.evaluate((e) => e.value.slice(e.selectionStart, e.selectionEnd));
  assert.equal(chosen, '"10.10.0.10/24"]');
  assert.ok(await page.getByRole("button", { name: "Apply" }).isDisabled(), "what is wrong cannot be applied");

  // Another draft: what it would take away is said before it does.
  await editor.fill(first.text.replace('verdict = "allow"', 'verdict = "deny"'));
  await page.getByRole("button", { name: "See what would change" }).click();
  await page.getByText("1 SIM of office may no longer reach telemetry udp/9000").waitFor();
  await page.getByText("1 of them has a session now").waitFor();
  await accessible(page, "a plan");
  await shot(page, "policy-plan");
  assert.equal(await generation(), first.generation, "a plan changes nothing");
  await page.getByRole("button", { name: "Apply" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill("a trial");
  await dialog.getByRole("button", { name: "Apply" }).click();
  await page.getByText(`Generation ${first.generation + 1} is in force`).waitFor();
  assert.equal((await api("GET", "rules/office-telemetry")).verdict, "deny");

  // What is denied now is recorded; the draft that allows it again would let it through.
  await until("a denied flow is recorded", async () => (await api("GET", `flows?imsi=${IMSI}&verdict=deny`)).items.length > 0);
  await until("the editor shows what is stored", async () => (await editor.inputValue()).includes('verdict = "deny"'));
  await editor.fill(first.text);
  await page.getByRole("button", { name: "Try recorded flows" }).click();
  await page.locator(".bars-allowed").first().waitFor();
  assert.equal(await page.locator(".bars-denied").count(), 0);
  await page.getByText("SIM", { exact: true }).last().click();
  await page.locator(".bars").getByRole("link", { name: IMSI }).waitFor();
  await still(page);
  await accessible(page, "a replay");
  await page.locator(".bars").scrollIntoViewIfNeeded();
  await shot(page, "policy-replay");

  // Who made which generation, what it changed, and the way back in one step. The draft is still there afterwards.
  await page.getByRole("tab", { name: "History" }).click();
  await page.getByRole("gridcell", { name: "a trial" }).click();
  await page.locator(".diff-gone").getByText('verdict = "allow"').waitFor();
  await page.locator(".diff-new").getByText('verdict = "deny"').waitFor();
  await accessible(page, "the history");
  await shot(page, "policy-history-open");
  // A SIM that was put into a group made a generation, and no step of the policy's history.
  await page.locator(".data-item").nth(1).click();
  await page.getByRole("button", { name: "Go back to this" }).click();
  await dialog.getByLabel("Reason").fill("the trial is over");
  await dialog.getByRole("button", { name: "Go back to this" }).click();
  await page.getByText(`Generation ${first.generation + 2} is in force`).waitFor();
  assert.equal((await api("GET", "policies/text")).text, first.text);
  await page.getByRole("tab", { name: "Analysis" }).click();
  await page.getByText("Every rule decides something").waitFor();
  assert.deepEqual(own(faults), []);
  await close();
});

test("what is known is told by hand, and why names each condition with its source", async () => {
  const { api } = instance;
  await api("POST", "devices", { id: "pc-1", kind: "laptop" });
  const sim = await api("GET", `sims/${IMSI}`);
  await api("PATCH", `sims/${IMSI}`, { device_id: "pc-1" }, { "if-match": `"${sim.version}"` });
  const { page, faults, close } = await signedIn(browser, instance, { lang: "ja" });
  await page.goto(`${instance.base}/groups?open=office`);
  await page.getByRole("textbox", { name: "端末の必須項目" }).pressSequentially("firewall,disk-encryption,os-version,");
  await page.getByRole("textbox", { name: "OS の最低バージョン" }).pressSequentially("windows:10.0.22631,");
  await page.getByRole("dialog").getByRole("button", { name: "保存" }).click();
  await page.waitForURL((u) => !u.searchParams.has("open"));
  const { posture, label } = await api("GET", "groups/office");
  assert.deepEqual([posture.must.sort(), posture.os, label], [["disk-encryption", "firewall", "os-version"], { windows: "10.0.22631" }, "Office laptops"]);
  await page.goto(`${instance.base}/devices?open=pc-1`);
  await page.getByText("この端末の状態はまだ報告されていません。").waitFor();
  await page.locator('[data-check="firewall"][data-state="missing"]').waitFor();
  await page.getByRole("button", { name: "手動で報告" }).click();
  const form = page.getByRole("dialog", { name: /^手動で報告/ });
  await form.getByLabel("ファイアウォール").selectOption("no");
  await form.getByRole("button", { name: "保存" }).click();
  await page.locator('[data-check="firewall"][data-state="bad"]').getByText("情報源: API").waitFor();
  await shot(page, "device-told");

  // A rule that asks for it: the SIM's page and the story of the verdict say what stands between.
  const rule = await api("GET", "rules/office-telemetry");
  await page.goto(`${instance.base}/rules?open=office-telemetry`);
  await page.getByRole("dialog").getByLabel("端末の状態").selectOption("compliant");
  await page.getByRole("dialog").getByLabel("判定", { exact: true }).selectOption("step-up");
  await page.getByRole("dialog").getByRole("button", { name: "保存" }).click();
  await page.waitForURL((u) => !u.searchParams.has("open"));
  const asked = await api("GET", "rules/office-telemetry");
  assert.deepEqual([asked.verdict, asked.posture, asked.order], ["step-up", "compliant", rule.order]);
  await page.goto(`${instance.base}/sims/${IMSI}`);
  await page.locator('[data-fact="posture"][data-known="true"]').getByText("非準拠", { exact: true }).waitFor();
  await page.goto(`${instance.base}/why?imsi=${IMSI}&app=telemetry&service=udp%2F9000`);
  await page.locator('.nearest [data-holds="no"], .nearest li').first().getByText("端末の状態").waitFor();
  await page.locator('td [data-holds="no"]').getByText("情報源: API").waitFor();
  await accessible(page, "why, with conditions");
  await shot(page, "why-conditions-told");
  assert.deepEqual(own(faults), []);
  await close();
});

test("a grant waits for a second person, counts from their yes, and is ended", async () => {
  const { api } = instance;
  const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
  // Asked for by a script; the operator in the browser is somebody else.
  const asked = await api("POST", "grants", { to: `sim:${IMSI}`, app: "telemetry", reason: "pump 3", until: inAnHour });
  assert.equal(asked.state, "waiting");
  const { page, faults, close } = await signedIn(browser, instance);
  await page.goto(`${instance.base}/grants?open=${asked.id}`);
  await page.getByRole("button", { name: "Answer for it" }).click();
  const sure = page.getByRole("dialog", { name: /^Answer for it/ });
  await sure.getByLabel("Reason").fill("I know of it");
  await sure.getByRole("button", { name: "Answer for it" }).click();
  await page.getByRole("dialog").getByText("counts", { exact: true }).waitFor();
  await still(page);
  await accessible(page, "a grant");
  await shot(page, "grant-open");
  assert.equal((await api("GET", "grants")).items[0].approver, "operator:demo");
  await page.goto(`${instance.base}/sims/${IMSI}`);
  await page.getByText("pump 3").waitFor();
  await page.getByRole("link", { name: "telemetry" }).last().click();
  await page.getByRole("button", { name: "End it" }).click();
  const end = page.getByRole("dialog", { name: /^End it/ });
  await end.getByLabel("Reason").fill("repaired");
  await end.getByRole("button", { name: "End it" }).click();
  await page.getByRole("gridcell", { name: "pump 3" }).waitFor({ state: "detached" });

  // Asked for in the browser: nobody answers for their own.
  await page.goto(`${instance.base}/grants?open=%2B&to=sim:${IMSI}`);
  await page.getByLabel("App").fill("telemetry");
  await page.getByLabel("Reason").fill("the other pump");
  await page.getByLabel("Until").fill(await page.evaluate(() => new Date(Date.now() + 7_200_000 - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 16)));
  await page.getByRole("dialog").getByRole("button", { name: "Grant for a time" }).click();
  await page.getByText("it waits for a second person").waitFor();
  assert.deepEqual((await api("GET", "grants")).items.map((g) => [g.state, g.reason, g.requester]), [["waiting", "the other pump", "operator:demo"]]);
  assert.deepEqual(own(faults), []);
  await close();
});

test("a source's secret is shown once, and the source with its last success", async () => {
  const { api } = instance;
  const { page, faults, close } = await signedIn(browser, instance);
  await page.goto(`${instance.base}/sources?open=%2B`);
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("mdm");
  await dialog.getByRole("button", { name: "Add" }).click();
  const secret = await dialog.getByRole("status").locator("pre").innerText();
  assert.match(secret, /^[0-9a-f]{64}$/);
  await accessible(page, "a source's secret");
  await page.goto(`${instance.base}/sources?open=mdm`);
  await dialog.getByText("/signals/mdm/posture").waitFor();
  assert.ok(!(await page.content()).includes(secret), "it is nowhere again");
  await dialog.getByText("nothing yet").waitFor();
  await shot(page, "source-open");
  await dialog.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog", { name: /^Remove mdm/ }).getByRole("button", { name: "Remove" }).click();
  await page.getByText("No source.").waitFor();
  assert.equal((await api("GET", "posture/sources")).items.length, 0);
  assert.deepEqual(own(faults), []);
  await close();
});

test("how risk is weighed is seen whole, tried on a SIM, planned and put in force", async () => {
  const { api } = instance;
  await api("POST", "rules", { name: "by-risk", order: 90, subject: "group:office", app: "telemetry", direction: "out", verdict: "risk" });
  const { page, faults, close } = await signedIn(browser, instance);
  await page.goto(`${instance.base}/risk`);
  const rows = page.locator(".risk-picture tbody tr");
  await until("sixteen situations are there", async () => (await rows.count()) === 16);
  assert.match(await rows.last().innerText(), /90/);
  // Each of the three kinds of apps, by the level that the sum of all comes to.
  assert.deepEqual(await rows.last().locator(".pill").allInnerTexts(), ["critical", "step-up", "denied", "denied"]);

  // What cannot be is refused at its field, and nothing is stored.
  const medium = page.getByLabel("medium", { exact: true });
  await medium.fill("50");
  await page.getByRole("button", { name: "See what would change" }).click();
  await page.getByText(/it is higher than the level above it/).waitFor();
  assert.ok(await page.getByRole("button", { name: "Apply" }).isDisabled());
  await medium.fill("20");

  await page.getByLabel("Night", { exact: true }).fill("45");
  await until("the picture follows", async () => /120/.test(await rows.last().innerText()));
  await page.getByLabel("IMSI").fill(IMSI);
  await page.getByRole("button", { name: "Try" }).click();
  const score = async (profile) => Number(/score (\d+)/.exec(await page.locator(`[data-profile="${profile}"]`).innerText())?.[1]);
  await page.locator('[data-profile="In force"]').waitFor();
  assert.equal((await score("Draft, not in force")) - (await score("In force")), 30);
  await page.getByRole("button", { name: "See what would change" }).click();
  await page.getByText("1 rule goes by risk:").waitFor();
  await page.getByText(/^Of \d+ SIMs \d+ come to another level of risk at this moment\.$/).waitFor();
  await still(page);
  await accessible(page, "a risk profile with its plan");
  await shot(page, "risk-plan");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Apply" }).click();
  await page.getByText("The profile is in force").waitFor();
  const { weights, levels, version, shipped } = await api("GET", "risk-profile");
  assert.deepEqual([weights.night, levels.medium, version, shipped], [45, 20, 1, false]);
  await page.getByText("Own profile in force").waitFor();
  assert.deepEqual(own(faults), []);
  await close();
});

test("a watched rule is seen at work, put in force, and another one dropped", async () => {
  const { api, lab } = instance;
  const until_ = new Date(Date.now() + 86_400_000).toISOString();
  const rule = { subject: "group:office", app: "telemetry", direction: "out", verdict: "allow", monitor_until: until_ };
  await api("POST", "rules", { ...rule, name: "open-telemetry", order: 1 });
  await api("POST", "rules", { ...rule, name: "never-mind", order: 2 });
  await lab("send", IMSI, "--per-second", "20");
  const seen = async (name) => (await api("GET", "policies/monitored")).items.find((r) => r.rule === name);
  await until("a refused flow would have been allowed", async () => (await seen("open-telemetry"))?.would_allow > 0, 45);
  const { page, faults, close } = await signedIn(browser, instance);
  await page.goto(`${instance.base}/watched`);
  const mine = page.locator('[data-rule="open-telemetry"]');
  await mine.locator(".hours .bars-allowed").first().waitFor();
  await mine.getByRole("link", { name: IMSI }).waitFor();
  await accessible(page, "watched rules");
  await shot(page, "watched-open");
  await mine.getByRole("button", { name: "Into force now" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Into force now" }).click();
  await page.getByText("open-telemetry is in force").waitFor();
  assert.equal((await api("GET", "rules/open-telemetry")).monitor_until, null);
  await mine.waitFor({ state: "detached" });
  await page.locator('[data-rule="never-mind"]').getByRole("button", { name: "Drop it" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Drop it" }).click();
  await page.getByText("No rule is watched.").waitFor();
  assert.ok((await api("GET", "rules")).items.every((r) => r.name !== "never-mind"));
  assert.deepEqual(own(faults), []);
  await close();
});

test("a department gets its rules by a template, and loses them", async () => {
  const { api } = instance;
  const { text } = await api("GET", "policies/text");
  await api("POST", "policies/apply", { text: text + TEMPLATE.replace(/\[\[uses\]\][^]*/, "").replace('"intranet"', '"telemetry"'), reason: "a template" });
  const { page, faults, close } = await signedIn(browser, instance, { lang: "ja" });
  await page.goto(`${instance.base}/templates`);
  await page.getByText("使われていません。").waitFor();
  await page.getByRole("button", { name: "department を使う" }).click();
  const dialog = page.getByRole("dialog", { name: "department を使う" });
  await dialog.getByLabel("使用箇所の名前").fill("sales");
  await dialog.getByLabel("group").fill("offices");
  await dialog.getByLabel("ports").pressSequentially("tcp/22,");
  await dialog.getByRole("button", { name: "変更内容を確認" }).click();
  await dialog.getByText(/offices/).first().waitFor();
  await dialog.getByRole("alert").waitFor();
  await dialog.getByLabel("group").fill("office");
  await dialog.getByRole("button", { name: "変更内容を確認" }).click();
  await dialog.getByText("sales.agent").first().waitFor();
  await still(page);
  await accessible(page, "a template with its plan");
  await shot(page, "template-plan");
  const sure = page.getByRole("dialog", { name: /置き換えますか/ });
  const apply = async () => {
    await dialog.or(page.getByRole("dialog", { name: "sales を削除" })).getByRole("button", { name: "適用", exact: true }).first().click();
    await sure.getByLabel("理由").fill("試行");
    await sure.getByRole("button", { name: "適用", exact: true }).click();
  };
  await apply();
  await page.locator('[data-template="department"] td').getByText("sales", { exact: true }).waitFor();
  const made = await api("GET", "rules/sales.agent");
  assert.deepEqual([made.subject, made.to, made.direction], ["group:office", ["tcp/22"], "in"]);
  await page.getByRole("button", { name: "sales を削除" }).click();
  await page.getByRole("dialog", { name: "sales を削除" }).getByRole("button", { name: "変更内容を確認" }).click();
  await page.getByRole("dialog", { name: "sales を削除" }).getByText("sales.agent").first().waitFor();
  await apply();
  await page.getByText("使われていません。").waitFor();
  assert.ok((await api("GET", "rules")).items.every((r) => r.name !== "sales.agent"));
  assert.deepEqual(own(faults), []);
  await close();
});

test("an app that does not answer its probe is said to be down, with since when and why", async () => {
  const { api } = instance;
  const health = async (name) => (await api("GET", "system")).apps.find((a) => a.name === name);
  const away = { name: "away", prefixes: ["10.10.0.10/32"], services: ["tcp/7"], health: "tcp/7" };
  await api("POST", "apps", away);
  await until("it was asked once", async () => (await health("away"))?.asked);
  assert.equal((await health("away")).state, "unknown", "one failure is no news");
  // Apps that change are asked again soon.
  const kept = await api("GET", "apps/away");
  await api("PUT", "apps/away", { ...away, label: "nobody listens" }, { "if-match": `"${kept.version}"` });
  await until("it is down", async () => (await health("away")).state === "down");
  const { why, address } = await health("away");
  assert.deepEqual([why, address], ["the connection is refused", "10.10.0.10"]);
  const { page, faults, close } = await signedIn(browser, instance);
  await page.goto(`${instance.base}/apps`);
  await page.getByRole("gridcell", { name: "away", exact: true }).waitFor();
  await page.getByTitle("the connection is refused").getByText("down").waitFor();
  await accessible(page, "apps with a probe");
  await shot(page, "apps-down");
  await api("DELETE", "apps/away", undefined, { "if-match": "*" });
  assert.equal(await health("away"), undefined);
  assert.deepEqual(own(faults), []);
  await close();
});
