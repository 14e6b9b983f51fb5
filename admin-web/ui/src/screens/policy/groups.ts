// Which of our groups a group of a source means, as lines to be edited: `SG-Engineering = eng`.

export function groupLines(groups: Record<string, string>): string {
  return Object.entries(groups)
    .map(([shown, ours]) => `${shown} = ${ours}`)
    .join("\n");
}

/** Ours stands behind the last sign: a name elsewhere may have one in it. */
export function groupsOf(text: string): Record<string, string> {
  const lines = text.split("\n").filter((l) => l.trim() !== "");
  return Object.fromEntries(
    lines.map((l) => {
      const at = l.lastIndexOf("=");
      return at < 0 ? [l.trim(), ""] : [l.slice(0, at).trim(), l.slice(at + 1).trim()];
    }),
  );
}
