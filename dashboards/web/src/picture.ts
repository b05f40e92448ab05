// usePicture gives the frame that a page's charts draw: the history, and the live rows joined to it.
import { useEffect, useState } from "preact/hooks";
import { ranges, type Address } from "./address.ts";
import { between, empty, grid, join, thin, type Frame } from "./frame.ts";
import { finest, readLines, step } from "./history.ts";
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
  step: number;
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

export function usePicture<T>(o: PictureOptions<T>): Picture {
  const { address: a, lines, sel, live } = o;
  const now = live.now();
  const zoomed = a.from !== null && a.to !== null;
  const span = zoomed ? a.to! - a.from! : ranges[a.range]!;
  const by = step(span);
  const every = Math.max(by, 120);
  const turn = zoomed ? 0 : Math.floor(now / every); // asks again from time to time
  const thing = [JSON.stringify(sel), lines.map((l) => l.key).join()].join(" ");
  const key = [thing, span, a.from, a.to].join(" ");
  const [past, setPast] = useState<Past | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    const end = Math.ceil((zoomed ? a.to! : now) / by) * by;
    const start = Math.floor((zoomed ? a.from! : now - span) / by) * by;
    readLines(lines, sel, { start, end, step: by }, stop.signal).then(
      (points) => setPast({ key, thing, step: by, frame: grid(points, start, end, by), error: "" }),
      (e: Error) => stop.signal.aborted || setPast((p) => ({ key, thing, step: by, frame: p?.key === key ? p.frame : empty(lines.length), error: e.message })),
    );
    return () => stop.abort();
  }, [key, turn, live.epoch]);
  o.trail.keep = 960;
  const known = past?.thing === thing ? past : null; // another window's past is better than none until this one's comes
  const rows = by > finest ? thin(o.trail.frame, by) : o.trail.frame;
  const all = join(known?.frame ?? empty(lines.length), rows, known?.step ?? by);
  const [from, to] = zoomed ? [a.from!, a.to!] : moving(now, span, all, seconds(live.overview?.since) ?? now);
  return { frame: between(all, from - by, to + by), from, to, step: by, error: known?.error ?? "", loading: past?.key !== key };
}

/** moving is the window that ends now. While there is less to show than the range it begins with what there is. */
function moving(now: number, span: number, f: Frame, since: number): [number, number] {
  const first = Math.min(f.t[0] ?? now, since || now);
  return [Math.max(now - span, Math.min(first, now - 60)), now];
}
