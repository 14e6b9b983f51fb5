// Words as a shell reads them.

/** A word for a POSIX shell. */
export function quote(s: string, q: "'" | '"' = "'"): string {
  if (/^[\w@%+=:,./-]+$/.test(s)) return s;
  return q === '"' ? `"${s}"` : `'${s.replace(/'/g, `'\\''`)}'`;
}
