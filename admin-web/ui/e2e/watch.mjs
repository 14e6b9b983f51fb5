// What must hold of everything that a page loads, whatever the page is: no other host, nothing refused by the content
// security policy, and the headers that keep a browser from guessing, framing, telling on and keeping.

/** Headers of every answer, with what they must hold. */
const ALWAYS = { "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" };
/** Those of pages and of the API beside. */
const NO_FRAMES = ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"];

/** What is wrong with an answer's headers. */
export function missing(path, headers) {
  const found = Object.entries(ALWAYS).filter(([name, value]) => headers[name] !== value);
  const said = found.map(([name, value]) => `${name}: ${headers[name] ?? "-"} instead of ${value}`);
  const policy = headers["content-security-policy"] ?? "";
  const asset = path.startsWith("/assets/") || /\.(svg|png|ico|webmanifest)$/.test(path);
  if (!asset) said.push(...NO_FRAMES.filter((p) => !policy.includes(p)).map((p) => `content-security-policy without ${p}`));
  if (/unsafe-|https?:|\*/.test(policy)) said.push(`content-security-policy: ${policy}`);
  const cache = headers["cache-control"] ?? "";
  if (path.startsWith("/api/") && !cache.includes("no-store")) said.push(`cache-control: ${cache} of an answer of the API`);
  if (!asset && !/no-store|no-cache/.test(cache)) said.push(`cache-control: ${cache} of a page`);
  return said.map((s) => `${path}: ${s}`);
}

/** Puts what a page does wrong into `faults`, from now on and on every page that it goes to. */
export async function watch(page, base, faults) {
  page.on("pageerror", (e) => faults.push(`error: ${e.message}`));
  page.on("console", (m) => m.type() === "error" && faults.push(`console: ${m.text()} ${m.location().url}`));
  page.on("request", (r) => {
    const to = new URL(r.url());
    if (to.origin !== base && !["blob:", "data:"].includes(to.protocol)) faults.push(`another host: ${r.url()}`);
  });
  page.on("response", (r) => {
    const at = new URL(r.url());
    if (at.origin === base) faults.push(...missing(at.pathname, r.headers()));
  });
  await page.exposeFunction("__refused", (what) => faults.push(`refused by the policy: ${what}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) => window.__refused(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}`));
  });
}
