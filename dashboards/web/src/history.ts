// The past, read by structured queries that every store answers: a point every ten seconds, for as long as the store keeps it.
import type { Points } from "./frame.ts";
import type { Ask, Labels, Line } from "./lines.ts";

/** finest is how far apart the history's points are, in seconds. */
export const finest = 10;
const day = 86400;
const steps = [10, 20, 30, 60, 120, 240, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, day];

/** step chooses how far apart points are asked for, so that a chart has at most so many. */
export const step = (span: number, points = 360) => steps.find((s) => span / s <= points) ?? Math.ceil(span / points / day) * day;

/** lookback is how far back each point looks: far enough for what func needs, two points for a rate and else one, if one is missing. */
export const lookback = (step: number, func: Ask["func"]) => Math.max(step, (func === "rate" ? 3 : 2) * finest);

/** further is how far back a rate looks where lookback finds too little: a few late points are no gap. */
const further = 45;

/** coarse is the largest step at which each point of the history is still seen. */
const coarse = 2 * finest;

/** When is the time that a series is asked for: Unix seconds, and how far apart its points are. */
export interface When {
  start: number;
  end: number;
  step: number;
}

export interface Series {
  labels: Labels;
  points: Points;
}

interface Answer {
  error?: string;
  series?: Series[];
}

/** read asks for the series of a structured query, in which each point looks back over a window of so many seconds. */
export async function read(ask: Ask, sel: Labels, w: When, signal: AbortSignal, window = lookback(w.step, ask.func)): Promise<Series[]> {
  const func = w.step > coarse ? (ask.wide ?? ask.func) : ask.func;
  const p = new URLSearchParams({ ...sel, metric: ask.metric, start: String(w.start), end: String(w.end), step: String(w.step), window: String(window), func, by: (ask.by ?? []).join() });
  if (ask.join) p.set("join", ask.join);
  if (ask.sub !== undefined) p.set("sub", ask.sub);
  const r = await fetch("plimsoll/v1/series?" + p, { signal, headers: { Accept: "application/json" } });
  const body = (await r.json().catch(() => ({}))) as Answer;
  if (!r.ok || !body.series) throw new Error(body.error || `history answered ${r.status}`);
  return body.series;
}

/** readLines asks for one series for each line. */
export const readLines = <T>(lines: Line<T>[], sel: Labels, w: When, signal: AbortSignal): Promise<Points[]> => Promise.all(lines.map((l) => readLine(l, sel, w, signal)));

/** around is the time to ask for, so that it covers a span and its points fall on round moments. */
export function around(from: number, to: number, points?: number): When {
  const by = step(to - from, points);
  return { start: Math.floor(from / by) * by, end: Math.ceil(to / by) * by, step: by };
}

/** closer is the time to ask for instead where the data began so late in what was asked for that its points are too far apart; else null. */
export function closer(found: Points[], w: When, points?: number): When | null {
  const first = Math.min(...found.map((p) => p[0]?.[0] ?? Infinity));
  if (first === Infinity) return null;
  const near = around(first - w.step, w.end, points); // the first point tells of the step before it
  return near.step < w.step ? near : null;
}

/** follow asks for a time, and for less of it and closer points where there is only so much. */
export async function follow<T>(ask: (w: When) => Promise<T>, points: (found: T) => Points[], w: When, most?: number): Promise<[T, When]> {
  let found = await ask(w);
  for (let near = closer(points(found), w, most); near; near = closer(points(found), w, most)) found = await ask((w = near));
  return [found, w];
}

async function readLine<T>(line: Line<T>, sel: Labels, w: When, signal: AbortSignal): Promise<Points> {
  for (const ask of line.asks) {
    if (ask.coarse && w.step <= coarse) continue;
    const window = lookback(w.step, ask.func);
    const points = await readPoints(ask, sel, w, signal, window);
    if (!points.length) continue;
    if (ask.func !== "rate" || window >= further || whole(points, w)) return points;
    return fill(points, await readPoints(ask, sel, w, signal, further));
  }
  return [];
}

/** readPoints asks for one line, or for the two whose ratio it is. */
async function readPoints(ask: Ask, sel: Labels, w: When, signal: AbortSignal, window: number): Promise<Points> {
  const one = async (metric: string) => (await read({ ...ask, metric }, sel, w, signal, window))[0]?.points ?? [];
  const [part, all] = await Promise.all([one(ask.metric), ask.over ? one(ask.over) : null]);
  return all ? ratio(part, all, ask.nan) : part;
}

/** ratio divides at the moments that both have; nothing by nothing is nan, or a gap where that is not said. */
export function ratio(part: Points, all: Points, nan?: number): Points {
  const by = new Map(all);
  return part.flatMap(([t, v]): Points => {
    const of = by.get(t);
    if (of === undefined) return [];
    const x = v === 0 && of === 0 ? nan : v / of;
    return x !== undefined && Number.isFinite(x) ? [[t, x]] : [];
  });
}

/** whole says whether points follow one another without a hole, up to the end but for the newest, which may be still to come. */
export function whole(points: Points, w: When): boolean {
  const last = points[points.length - 1]![0];
  return w.end - last <= 1.5 * w.step && points.every(([t], i) => !i || t - points[i - 1]![0] < 1.5 * w.step);
}

/** fill puts into the holes of a line what another has there. */
export function fill(points: Points, others: Points): Points {
  const all = new Map([...others, ...points]);
  return [...all].sort((a, b) => a[0] - b[0]);
}
