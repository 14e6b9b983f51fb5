// What people type and scanners give, as the API has it.

/** Digits as cards and typing give them: full-width ones, and spaces or hyphens between them. */
export function folded(text: string): string {
  const narrow = text.normalize("NFKC").trim();
  const bare = narrow.replace(/[\s‐‑‒–—―−-]/g, "");
  return /^\d{5,}$/.test(bare) ? bare : narrow;
}
