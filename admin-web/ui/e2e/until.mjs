// Waiting for a condition, never for a moment.

import assert from "node:assert/strict";

/** Waits until `holds` says so, for at most fifteen seconds. */
export async function until(what, holds) {
  for (const end = Date.now() + 15_000; Date.now() < end; ) {
    if (await holds()) return;
    await new Promise((r) => setTimeout(r, 50));
  }
  assert.fail(`${what}: not within 15 s`);
}
