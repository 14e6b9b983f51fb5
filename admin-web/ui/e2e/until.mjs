// Waiting for a condition, never for a moment.

import assert from "node:assert/strict";

/** Waits until `holds` says so, for at most so many seconds. */
export async function until(what, holds, seconds = 15) {
  for (const end = Date.now() + 1_000 * seconds; Date.now() < end; ) {
    if (await holds()) return;
    await new Promise((r) => setTimeout(r, 50));
  }
  assert.fail(`${what}: not within ${seconds} s`);
}
