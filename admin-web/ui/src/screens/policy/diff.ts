// Two texts, line by line: what went, what came, and what stayed (Myers, "An O(ND) difference algorithm", 1986).

export interface Piece {
  kind: "same" | "gone" | "new";
  line: string;
}

/** Lines that may differ before it is given up. */
const MOST = 2_000;

/** The pieces in their order; `undefined` where too much differs. */
export function difference(before: string, after: string): Piece[] | undefined {
  const [a, b] = [lines(before), lines(after)];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const middle = script(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  if (!middle) return undefined;
  const same = (line: string): Piece => ({ kind: "same", line });
  return [...a.slice(0, head).map(same), ...middle, ...a.slice(a.length - tail).map(same)];
}

function lines(text: string): string[] {
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}

/** How far each diagonal got in the first text, for the diagonals -d-1 to d+1. */
type Reach = Int32Array;

/** True where the best way to diagonal `k` comes by a line of the second text. */
function isNew(reach: Reach, d: number, k: number): boolean {
  const at = (i: number) => reach[i + d + 1] ?? 0;
  return k === -d || (k !== d && at(k - 1) < at(k + 1));
}

/** The shortest way from one to the other. */
function script(a: string[], b: string[]): Piece[] | undefined {
  const most = Math.min(a.length + b.length, MOST);
  const far = new Int32Array(2 * most + 3);
  const zero = most + 1;
  const steps: Reach[] = [];
  for (let d = 0; d <= most; d++) {
    const before = far.slice(zero - d - 1, zero + d + 2);
    steps.push(before);
    for (let k = -d; k <= d; k += 2) {
      let x = isNew(before, d, k) ? (far[zero + k + 1] ?? 0) : (far[zero + k - 1] ?? 0) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      far[zero + k] = x;
      if (x >= a.length && x - k >= b.length) return back(a, b, steps);
    }
  }
  return undefined;
}

/** The way that led to the end, read from there. */
function back(a: string[], b: string[], steps: Reach[]): Piece[] {
  const out: Piece[] = [];
  let [x, y] = [a.length, b.length];
  for (let d = steps.length - 1; d > 0; d--) {
    const reach = steps[d] ?? new Int32Array();
    const k = x - y;
    const came = isNew(reach, d, k);
    const from = came ? k + 1 : k - 1;
    const fromX = reach[from + d + 1] ?? 0;
    for (const start = came ? fromX : fromX + 1; x > start; ) out.push({ kind: "same", line: a[--x] ?? "" });
    out.push(came ? { kind: "new", line: b[fromX - from] ?? "" } : { kind: "gone", line: a[fromX] ?? "" });
    [x, y] = [fromX, fromX - from];
  }
  while (x > 0) out.push({ kind: "same", line: a[--x] ?? "" });
  return out.reverse();
}

/** Pieces with long stretches of what stayed left out but for `around` lines beside each change. */
export type Shown = Piece | { kind: "left-out"; count: number };

export function shortened(pieces: Piece[], around = 3): Shown[] {
  const near = new Array<boolean>(pieces.length).fill(false);
  pieces.forEach((p, i) => {
    if (p.kind !== "same") near.fill(true, Math.max(0, i - around), i + around + 1);
  });
  const out: Shown[] = [];
  let count = 0;
  const leave = () => {
    if (count > 0) out.push({ kind: "left-out", count });
    count = 0;
  };
  pieces.forEach((p, i) => {
    if (!near[i]) return void count++;
    leave();
    out.push(p);
  });
  leave();
  return out;
}
