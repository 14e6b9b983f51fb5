// Debian's Chromium as the judge: signed in by the form, with whatever goes wrong on a page noted.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { watch } from "./watch.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Screenshots are kept here, to be looked at. */
const OUT = fileURLToPath(new URL("./out/", import.meta.url));

export function launch() {
  mkdirSync(OUT, { recursive: true });
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/**
 * A signed-in page, at `base` where something stands between it and the instance; what it does wrong (see watch.mjs) is put into
 * `faults`.
 */
export async function signedIn(browser, instance, { base = instance.base, lang = "en", scheme = "light", width = 1280, height = 800 } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    locale: lang === "ja" ? "ja-JP" : "en-US",
    timezoneId: "Asia/Tokyo",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const faults = [];
  await watch(page, base, faults);
  await page.goto(`${base}/sign-in?next=/`);
  await page.fill("input[name=name]", "demo");
  await page.fill("input[name=password]", instance.password);
  await page.locator("form button").click();
  await page.waitForSelector(".frame");
  return { page, faults, close: () => context.close() };
}

/** Fails with what axe-core finds, in words. */
export async function accessible(page, where) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run());
  const said = violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.html.slice(0, 160)}`).join("\n  ")}`);
  assert.deepEqual(said, [], `axe-core on ${where}`);
}

/** Waits for what slides in; an edge of the path picture runs for ever and is not waited for. */
export function still(page) {
  return page.evaluate(() => {
    const ends = document.getAnimations().filter((a) => a.effect?.getComputedTiming().endTime !== Infinity);
    return Promise.all(ends.map((a) => a.finished.catch(() => undefined)));
  });
}

export function shot(page, name) {
  return page.screenshot({ path: `${OUT}${name}.png` });
}

/** Presses Tab until what has the focus is called `name` (a text or a pattern), as somebody without a mouse does. */
export async function tabTo(page, name, most = 150) {
  const seen = [];
  for (let i = 0; i < most; i++) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => {
      const e = document.activeElement;
      if (!e) return "";
      const label = e.labels?.[0]?.textContent ?? "";
      return (e.getAttribute("aria-label") ?? (label || e.textContent || "")).trim();
    });
    if (typeof name === "string" ? focused === name : name.test(focused)) return;
    seen.push(focused.slice(0, 30));
  }
  throw new Error(`nothing called ${name} is reached by Tab; seen: ${[...new Set(seen)].join(" | ")}`);
}

/**
 * Finds the lost device of 田中 and cuts it, with at most three clicks; `confirming` looks at the page that asks once more. When the page
 * said that it is cut, on the clock that every process of this machine has, ns.
 */
export async function cutOnAPhone(page, base, confirming) {
  await page.goto(`${base}/lost`);
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
  await still(page);
  await confirming();
  await click(page.getByRole("button", { name: "今すぐ停止" }));
  await page.getByText("停止しました").waitFor();
  const receipt = process.hrtime.bigint();
  await page.locator(".steps .done").first().waitFor();
  assert.ok(clicks <= 3, `${clicks} clicks`);
  return receipt;
}
