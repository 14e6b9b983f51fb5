// Networks behind a SIM as lines to be edited: a prefix, and behind it the data network where there is more than one.

export interface Line {
  prefix: string;
  dnn: string;
}

/** One line each. */
export function toLines(routes: readonly Line[]): string {
  return routes.map((r) => `${r.prefix} ${r.dnn}`).join("\n");
}

/** The networks that the lines name. A line without a data network means the SIM's first one. */
export function fromLines(text: string, dnns: readonly string[]): Line[] {
  return text
    .split(/[\n,;、]/)
    .map((line) => line.normalize("NFKC").trim().split(/\s+/))
    .filter(([prefix]) => prefix)
    .map(([prefix = "", dnn]) => ({ prefix, dnn: dnn ?? dnns[0] ?? "" }));
}
