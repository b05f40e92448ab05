// Trails: what the live picture said over the last minutes, a row a second, for everything on the page.
import { empty, type Cell, type Frame } from "./frame.ts";
import type { Num } from "./contract.ts";

const settled = 10; // a value that stays the same gets a point of its own only so often, in seconds

export class Trail {
  readonly frame: Frame;
  private last: { v: Num; t: number }[];

  /** keep is how many seconds are kept; the page raises it for what it shows. */
  constructor(
    lines: number,
    public keep = 90,
  ) {
    this.frame = empty(lines);
    this.last = Array.from({ length: lines }, () => ({ v: null, t: -Infinity }));
  }

  /** push adds a row. Most values are measured every ten seconds: one that did not change leaves the line as it runs. */
  push(t: number, row: Num[]) {
    const f = this.frame;
    if (f.t.length && t <= f.t[f.t.length - 1]!) return;
    f.t.push(t);
    row.forEach((v, k) => f.cols[k]!.push(this.cell(t, v, k)));
    let n = 0;
    while (n < f.t.length && f.t[n]! < t - this.keep) n++;
    if (n > 30) {
      f.t.splice(0, n);
      f.cols.forEach((c) => c.splice(0, n));
    }
  }

  private cell(t: number, v: Num, k: number): Cell {
    const last = this.last[k]!;
    if (v !== null && v === last.v && t - last.t < settled) return undefined;
    this.last[k] = { v, t };
    return v;
  }
}

/** Trails holds one trail for each key, and forgets those that got no row for a while. */
export class Trails {
  private all = new Map<string, Trail>();

  get(key: string, lines: number): Trail {
    let t = this.all.get(key);
    if (!t || t.frame.cols.length !== lines) this.all.set(key, (t = new Trail(lines)));
    return t;
  }

  push(key: string, t: number, row: Num[]) {
    this.get(key, row.length).push(t, row);
  }

  sweep(now: number) {
    for (const [key, { frame }] of this.all) if (now - (frame.t.at(-1) ?? now) >= 1200) this.all.delete(key);
  }
}
