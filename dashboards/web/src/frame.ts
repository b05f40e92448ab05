// A frame is what one chart draws: moments and, for each line, its value at each of them. null is a gap
// (the line breaks), undefined means only that this line has no point of its own there (it goes through).

export type Cell = number | null | undefined;

export interface Frame {
  t: number[]; // Unix seconds, growing
  cols: Cell[][]; // one list for each line, as long as t
}

export const empty = (lines: number): Frame => ({ t: [], cols: Array.from({ length: lines }, () => []) });

export type Points = [number, number][]; // moments in Unix seconds, and values

/** grid lays lines on the regular moments from start to end; a moment without a point is a gap. */
export function grid(lines: Points[], start: number, end: number, step: number): Frame {
  const n = Math.max(0, Math.floor((end - start) / step + 1e-6) + 1);
  const t = Array.from({ length: n }, (_, i) => start + i * step);
  const cols = lines.map((points) => {
    const col: Cell[] = new Array(n).fill(null);
    for (const [at, v] of points) {
      const i = Math.round((at - start) / step);
      if (i >= 0 && i < n && Number.isFinite(v)) col[i] = v;
    }
    return col;
  });
  return trim({ t, cols });
}

/** cut drops the rows at both ends that are none. */
function cut(f: Frame, none: (i: number) => boolean): Frame {
  let a = 0;
  let b = f.t.length;
  while (a < b && none(a)) a++;
  while (b > a && none(b - 1)) b--;
  return { t: f.t.slice(a, b), cols: f.cols.map((c) => c.slice(a, b)) };
}

/** trim drops the rows without any value at both ends. */
export const trim = (f: Frame) => cut(f, (i) => f.cols.every((c) => c[i] == null));

/** between keeps the rows of a window. */
export const between = (f: Frame, from: number, to: number) => cut(f, (i) => f.t[i]! < from || f.t[i]! > to);

/** thin averages a frame over buckets of so many seconds; a bucket with nothing but gaps is a gap. */
export function thin(f: Frame, bucket: number): Frame {
  const out = empty(f.cols.length);
  for (let i = 0; i < f.t.length; ) {
    const b = Math.floor(f.t[i]! / bucket);
    let j = i;
    while (j < f.t.length && Math.floor(f.t[j]! / bucket) === b) j++;
    out.t.push(f.t[j - 1]!);
    f.cols.forEach((c, k) => out.cols[k]!.push(mean(c.slice(i, j))));
    i = j;
  }
  return out;
}

function mean(cells: Cell[]): Cell {
  const known = cells.filter((v): v is number => typeof v === "number");
  if (known.length) return known.reduce((a, b) => a + b, 0) / known.length;
  return cells.some((v) => v === null) ? null : undefined;
}

/**
 * join puts the live frame, a row a second, after and into the frame of the history. A moment of the
 * history is left out where live rows no further than hole apart surround it. Where two rows that follow
 * one another are more than a hole apart there is a gap, and a row of nulls says so.
 */
export function join(history: Frame, live: Frame, step: number, hole = 15): Frame {
  const lines = Math.max(history.cols.length, live.cols.length);
  const rows: [number, Cell[]][] = [];
  const put = (f: Frame, i: number) => rows.push([f.t[i]!, Array.from({ length: lines }, (_, k) => f.cols[k]?.[i])]);
  const past = soften(history, live.t[0], step);
  let l = 0;
  for (let h = 0; h < past.t.length; h++) {
    const t = past.t[h]!;
    while (l < live.t.length && live.t[l]! <= t) put(live, l++);
    const before = l > 0 ? live.t[l - 1]! : -Infinity;
    const after = l < live.t.length ? live.t[l]! : l > 0 ? before : Infinity;
    if (!(after - before <= hole)) put(past, h);
  }
  while (l < live.t.length) put(live, l++);
  extend(rows);
  return broken(rows, lines, Math.max(hole, 2.5 * step));
}

/** soften turns the gaps at the history's very end into nothing where live rows follow: the newest point of a rate is still to come. */
function soften(f: Frame, next: number | undefined, step: number): Frame {
  if (next === undefined) return f;
  const cut = next - Math.max(30, 2 * step);
  const soft = f.t.findIndex((t) => t > cut);
  if (soft < 0) return f;
  return { t: f.t, cols: f.cols.map((c) => c.map((v, i) => (i >= soft && v === null && c.slice(i).every((x) => x == null) ? undefined : v))) };
}

/** extend carries each line on to the last row: a value that did not change is still one. */
function extend(rows: [number, Cell[]][]) {
  const last = rows.at(-1)?.[1];
  last?.forEach((v, k) => {
    if (v === undefined) last[k] = rows.findLast(([, cells]) => cells[k] !== undefined)?.[1][k] ?? undefined;
  });
}

function broken(rows: [number, Cell[]][], lines: number, hole: number): Frame {
  const out = empty(lines);
  const push = (t: number, cells: Cell[]) => {
    out.t.push(t);
    cells.forEach((v, k) => out.cols[k]!.push(v));
  };
  rows.forEach(([t, cells], i) => {
    const prev = i > 0 ? rows[i - 1]![0] : t;
    if (t - prev > hole) push((t + prev) / 2, new Array(lines).fill(null));
    push(t, cells);
  });
  return out;
}

/**
 * exact gives one line the moments of its changes, which are known to the instant while its points are ten
 * seconds apart: [moment, value from then on], oldest first. Gaps stay gaps.
 */
export function exact(f: Frame, line: number, changes: Points): Frame {
  if (line < 0 || !changes.length || !f.t.length) return f; // what is no longer scaled has no such line, and its changes still
  const out = empty(f.cols.length);
  let c = 0;
  let value: number | undefined;
  const change = (until: number) => {
    for (; c < changes.length && changes[c]![0] <= until; c++) {
      value = changes[c]![1];
      if (changes[c]![0] <= f.t[0]! || out.cols[line]![out.t.length - 1] === null) continue;
      out.t.push(changes[c]![0]);
      out.cols.forEach((col, k) => col.push(k === line ? value : undefined));
    }
  };
  f.t.forEach((t, i) => {
    change(t);
    out.t.push(t);
    f.cols.forEach((col, k) => out.cols[k]!.push(k === line && typeof col[i] === "number" && value !== undefined ? value : col[i]));
  });
  return out;
}

/** holes lists the stretches between the first and the last value in which no line has one. */
export function holes(f: Frame): [number, number][] {
  const out: [number, number][] = [];
  let last = -1; // the newest row with a value
  let gap = false;
  for (let i = 0; i < f.t.length; i++) {
    if (f.cols.some((c) => typeof c[i] === "number")) {
      if (gap && last >= 0) out.push([f.t[last]!, f.t[i]!]);
      last = i;
      gap = false;
    } else if (f.cols.some((c) => c[i] === null)) gap = true;
  }
  if (gap && last >= 0) out.push([f.t[last]!, f.t[f.t.length - 1]!]);
  return out;
}

/** spans lists the stretches in which a line is above zero. */
export function spans(t: number[], col: Cell[]): [number, number][] {
  const out: [number, number][] = [];
  let from = -1;
  for (let i = 0; i < t.length; i++) {
    const v = col[i];
    if (v === undefined) continue;
    if (v !== null && v > 0) from = from < 0 ? i : from;
    else if (from >= 0) {
      out.push([t[from]!, t[i]!]);
      from = -1;
    }
  }
  if (from >= 0) out.push([t[from]!, t[t.length - 1]!]);
  return out;
}

/** at finds the value that a line has at row i: its own, or the last one before it unless a gap lies between. */
export function at(col: Cell[], i: number): number | null {
  for (let k = i; k >= 0; k--) if (col[k] !== undefined) return col[k] as number | null;
  return null;
}

/** ticks finds round numbers below top, about so many; in powers of two where the unit goes by them. */
export function ticks(top: number, want = 3, binary = false): number[] {
  if (!(top > 0)) return [];
  const raw = top / (want + 1);
  const mag = binary ? 2 ** Math.floor(Math.log2(raw)) : 10 ** Math.floor(Math.log10(raw));
  const m = (binary ? [1, 2] : [1, 2, 5, 10]).find((x) => x * mag >= raw * 0.999) ?? 10;
  const at: number[] = [];
  for (let i = 1; i * m * mag < top; i++) at.push(i * m * mag);
  return at;
}
