// A browser on a simulated device: from a closed app to the page, to the provider and back, and into the app. Started by
// tests/judges/step_up.py in the device's network namespace. Usage: step-up.mjs PAGE APP-URL APP SUBJECT

import assert from "node:assert/strict";
import { accessible, launch, shot } from "./browser.mjs";

const [, , home, url, app, subject] = process.argv;
const browser = await launch();
try {
  for (const [lang, scheme, width] of [["ja", "light", 390], ["en", "dark", 1280]]) {
    const locale = lang === "ja" ? "ja-JP" : "en-US";
    // No script of anybody runs here: the page needs none.
    const plain = { ignoreHTTPSErrors: true, javaScriptEnabled: false, locale, colorScheme: scheme };
    const context = await browser.newContext({ ...plain, viewport: { width, height: 800 } });
    // The provider's form wants a style from the Internet, which a closed network does not have: nobody answers it.
    await context.route(/unpkg|jsdelivr|cdn/, (route) => route.abort());
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    await page.goto(lang === "ja" ? url : `${home}/?app=${app}`);
    assert.equal(page.url(), `${home}/?app=${app}`, "a closed app leads to the page");
    assert.equal(await page.locator("html").getAttribute("lang"), lang);
    await shot(page, `step-up-${lang}`);
    if (lang === "ja") {
      await page.locator("a", { hasText: "本人確認" }).first().click();
      assert.match(page.url(), /\/oauth2\/authorize\?/);
      // The form of the provider has a field, and a button for each person that it knows.
      await page.locator(`button[value="${subject}"], button:has-text("${subject}")`).first().click();
      await page.waitForURL(`${home}/?app=${app}`);
      assert.match(await page.locator("main").innerText(), /利用できます/);
      await shot(page, "step-up-open");
      const opened = await page.goto(url);
      assert.equal(opened.status(), 200, "the app is open");
    } else {
      assert.match(await page.locator("main").innerText(), /It is open to you/);
      await page.locator("a[hreflang=ja]").click();
      assert.equal(await page.locator("html").getAttribute("lang"), "ja", "the switch of languages");
    }
    await context.close();
    // With scripts, so that axe-core can look.
    const looked = await browser.newContext({ ignoreHTTPSErrors: true, locale, bypassCSP: true });
    const seen = await looked.newPage();
    await seen.goto(`${home}/?app=${app}`);
    await accessible(seen, `the page in ${lang}`);
    await looked.close();
  }
} finally {
  await browser.close();
}
