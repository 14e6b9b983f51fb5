// Flows by something as bars: what would newly be denied, and what newly allowed. The numbers stand beside them.

import type { ReactNode } from "react";
import { useT } from "../../i18n";
import { useFormat } from "../../i18n/format";
import type { Bar } from "./replay";

interface Props {
  label: string;
  bars: Bar[];
  name: (name: string | undefined) => ReactNode;
}

export function Bars({ label, bars, name }: Props) {
  const t = useT();
  const f = useFormat();
  const longest = Math.max(1, ...bars.map((b) => b.denied + b.allowed));
  const width = (n: number) => ({ width: `${(100 * n) / longest}%` });
  return (
    <figure className="plain" aria-label={label}>
      <figcaption>
        <span className="key key-denied">{t.policy.newlyDenied}</span> <span className="key key-allowed">{t.policy.newlyAllowed}</span>
      </figcaption>
      <div className="bars">
        {bars.map((b) => [
          <span key={`n${b.name}`} className="bars-name">
            {name(b.name)}
          </span>,
          <span key={`l${b.name}`} className="bars-line" aria-hidden="true">
            {b.denied > 0 && <span className="bars-denied" style={width(b.denied)} />}
            {b.allowed > 0 && <span className="bars-allowed" style={width(b.allowed)} />}
          </span>,
          <span key={`c${b.name}`} className="bars-number">
            {b.denied > 0 && <span aria-label={`${t.policy.newlyDenied} ${b.denied}`}>−{f.number(b.denied)}</span>}{" "}
            {b.allowed > 0 && <span aria-label={`${t.policy.newlyAllowed} ${b.allowed}`}>+{f.number(b.allowed)}</span>}
          </span>,
        ])}
      </div>
    </figure>
  );
}
