// A few figures side by side, each with what it counts; what took something away or opened something stands out.

import { useFormat } from "../../i18n/format";

export interface Tile {
  n: number;
  name: string;
  /** How it stands out where it is not nothing. */
  tone?: "good" | "bad";
}

export function Tiles({ tiles }: { tiles: Tile[] }) {
  const f = useFormat();
  return (
    <div className="tiles" role="status">
      {tiles.map(({ n, name, tone }) => (
        <div key={name} className={tone && n > 0 ? `tile tile-${tone}` : "tile"}>
          <b>{f.number(n)}</b>
          <span>{name}</span>
        </div>
      ))}
    </div>
  );
}
