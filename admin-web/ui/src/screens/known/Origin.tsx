// Who says something, how long ago, and until when it counts.

import { useNow } from "../../api/live";
import { useT, word } from "../../i18n";
import { useFormat } from "../../i18n/format";
import "./known.css";

interface Props {
  source: string | null | undefined;
  since: string | null | undefined;
  until?: string | null | undefined;
}

export function Origin({ source, since, until }: Props) {
  const t = useT();
  const f = useFormat();
  const now = useNow();
  const parts = [
    source ? t.known.from(word(t.known.sources, source)) : "",
    since ? t.known.ago(f.span(now - Date.parse(since))) : "",
    until ? (Date.parse(until) > now ? t.known.until : t.known.over)(f.time(until)) : "",
  ].filter(Boolean);
  if (parts.length === 0) return null;
  return (
    <small className="origin" title={since ? f.time(since) : undefined}>
      {parts.join(" · ")}
    </small>
  );
}
