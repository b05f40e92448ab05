// usePicture gives the frame that a page's charts draw: the history, and the live rows joined to it.
import { useEffect, useState } from "preact/hooks";
import { ranges, type Address } from "./address.ts";
import { between, empty, grid, join, thin, type Frame } from "./frame.ts";
import { around, finest, follow, readLines, step, type When } from "./history.ts";
import type { Labels, Line } from "./lines.ts";
import type { Live } from "./live.ts";
import type { Trail } from "./trail.ts";
import { seconds } from "./units.ts";

export interface Picture {
  frame: Frame;
  from: number; // the window, in Unix seconds
  to: number;
  step: number; // how far apart the history's points are, in seconds
  error: string; // why there is no history; "" when there is
  loading: boolean;
}

interface Past {
  key: string;
  thing: string; // what it is the past of, whatever the window
  at: When; // what was asked for in the end
  frame: Frame;
  error: string;
}

export interface PictureOptions<T> {
  lines: Line<T>[];
  sel: Labels;
  trail: Trail;
  address: Address;
  live: Live;
}

/** zoom is the window that an address asks for, as far as there can be something in it; null when it asks for the newest time. */
export function zoom(a: Address, now: number): [number, number] | null {
  if (a.from === null || a.to === null) return null;
  return [a.from, a.from < now - 1 ? Math.min(a.to, now) : a.to];
}

/** window is the time that an address asks for. */
export const window = (a: Address, now: number): [number, number] => zoom(a, now) ?? [now - ranges[a.range]!, now];

export function usePicture<T>(o: PictureOptions<T>): Picture {
  const { address: a, lines, sel, live } = o;
  const now = live.now();
  const zoomed = zoom(a, now);
  const thing = [JSON.stringify(sel), lines.map((l) => l.key).join()].join(" ");
  const key = [thing, zoomed ? "" : a.range, a.from, a.to].join(" ");
  const [past, setPast] = useState<Past | null>(null);
  const mine = past?.key === key ? past : null;
  const [from, to] = window(a, now);
  const span = to - from;
  const every = Math.max(mine?.at.step ?? step(span), 120);
  const turn = zoomed && a.to! <= now ? 0 : Math.floor(now / every); // asks again from time to time
  useEffect(() => {
    const stop = new AbortController();
    const begun = mine && mine.at.start > from ? mine.at.start : from; // what had not begun before has not since
    follow((w) => readLines(lines, sel, w, stop.signal), (p) => p, around(begun, to)).then(
      ([points, at]) => setPast({ key, thing, at, frame: grid(points, at.start, at.end, at.step), error: "" }),
      (e: Error) => stop.signal.aborted || setPast((p) => ({ key, thing, at: around(from, to), frame: p?.key === key ? p.frame : empty(lines.length), error: e.message })),
    );
    return () => stop.abort();
  }, [key, turn, live.epoch]);
  o.trail.keep = 960;
  const known = past?.thing === thing ? past : null; // another window's past is better than none until this one's comes
  const by = known?.at.step ?? step(span);
  const rows = by > finest ? thin(o.trail.frame, by) : o.trail.frame;
  const all = join(known?.frame ?? empty(lines.length), rows, by);
  const [first, last] = zoomed ? begin(zoomed, all) : moving(now, span, all, seconds(live.overview?.since) ?? now);
  return { frame: between(all, first - by, last + by), from: first, to: last, step: by, error: known?.error ?? "", loading: !mine };
}

/** moving is the window that ends now. While there is less to show than the range it begins with what there is. */
function moving(now: number, span: number, f: Frame, since: number): [number, number] {
  const first = Math.min(f.t[0] ?? now, since || now);
  return [Math.max(now - span, Math.min(first, now - 60)), now];
}

/** begin is a window as it is, unless what there is in it would be a stroke at its end: then it begins there. */
export function begin([from, to]: [number, number], f: Frame): [number, number] {
  const first = f.t.find((t) => t >= from) ?? from;
  return first < to && to - first < (to - from) / 10 ? [Math.min(first, to - 60), to] : [from, to];
}
