import { expect, test } from "vitest";
import { difference, shortened, type Piece } from "./diff";

const said = (all: Piece[] | undefined) => all?.map((p) => ({ same: " ", gone: "-", new: "+" })[p.kind] + p.line);
const text = (...lines: string[]) => lines.map((l) => `${l}\n`).join("");

test("what changed stands between what stayed", () => {
  expect(said(difference(text("a", "b", "c"), text("a", "x", "c")))).toEqual([" a", "-b", "+x", " c"]);
  expect(said(difference("", text("a")))).toEqual(["+a"]);
  expect(said(difference(text("a"), ""))).toEqual(["-a"]);
  expect(said(difference(text("a", "b"), text("a", "b")))).toEqual([" a", " b"]);
  expect(said(difference(text("a", "b", "c", "a", "b", "b", "a"), text("c", "b", "a", "b", "a", "c")))?.filter((l) => l[0] !== " ")).toHaveLength(5);
});

test("one side of the pieces is the one text, the other side the other, and no shorter way is missed", () => {
  // A small generator, so that a failure can be seen again.
  let seed = 7;
  const random = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  for (let round = 0; round < 300; round++) {
    const make = () => Array.from({ length: random(12) }, () => "abc"[random(3)] ?? "");
    const [a, b] = [make(), make()];
    const pieces = difference(text(...a), text(...b)) ?? [];
    expect(pieces.filter((p) => p.kind !== "new").map((p) => p.line)).toEqual(a);
    expect(pieces.filter((p) => p.kind !== "gone").map((p) => p.line)).toEqual(b);
    expect(pieces.filter((p) => p.kind === "same")).toHaveLength(common(a, b));
  }
});

/** The length of the longest common subsequence, by the table. */
function common(a: string[], b: string[]): number {
  let row = new Array<number>(b.length + 1).fill(0);
  for (const x of a) {
    const next = [0];
    b.forEach((y, j) => next.push(x === y ? (row[j] ?? 0) + 1 : Math.max(row[j + 1] ?? 0, next[j] ?? 0)));
    row = next;
  }
  return row[b.length] ?? 0;
}

test("too much is given up, and long stretches are left out", () => {
  const many = (word: string) => text(...Array.from({ length: 3_000 }, (_, i) => `${word}${i}`));
  expect(difference(many("a"), many("b"))).toBeUndefined();
  const line = (n: number) => text(...Array.from({ length: 20 }, (_, i) => (i === n ? "x" : `l${i}`)));
  const shown = shortened(difference(line(-1), line(10)) ?? [], 2);
  expect(shown.map((s) => (s.kind === "left-out" ? s.count : s.line))).toEqual([8, "l8", "l9", "l10", "x", "l11", "l12", 7]);
});
