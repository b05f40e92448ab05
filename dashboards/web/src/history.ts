// The past, read over the Prometheus HTTP API: every ten seconds a point, for as long as the store keeps it.
import type { Points } from "./frame.ts";
import type { Line } from "./lines.ts";

/** finest is how far apart the history's points are, in seconds. */
export const finest = 10;
const steps = [10, 20, 30, 60, 120, 240, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

/** step chooses how far apart points are asked for, so that a chart has at most so many. */
export const step = (span: number, points = 360) => steps.find((s) => span / s <= points) ?? 86400;

/** lookback is how far back each point looks: far enough to hold two of the history's own points, if a little late. */
export const lookback = (step: number) => Math.max(step, 2.5 * finest);

export interface Series {
  labels: Record<string, string>;
  points: Points;
}

interface Answer {
  status: string;
  error?: string;
  data?: { result?: { metric: Record<string, string>; values: [number, string][] }[] };
}

/** read asks for the series of one expression. */
export async function read(expr: string, start: number, end: number, step: number, signal: AbortSignal, nan = NaN): Promise<Series[]> {
  const p = new URLSearchParams({ query: expr, start: String(start), end: String(end), step: String(step) });
  const r = await fetch("api/v1/query_range?" + p, { signal, headers: { Accept: "application/json" } });
  const body = (await r.json().catch(() => ({ status: "error" }))) as Answer;
  if (!r.ok || body.status !== "success") throw new Error(body.error || `history answered ${r.status}`);
  return (body.data?.result ?? []).map((s) => ({ labels: s.metric, points: s.values.map(([t, v]) => [t, v === "NaN" ? nan : Number(v)]) }));
}

/** readLines asks for one series for each line. */
export async function readLines<T>(lines: Line<T>[], sel: string, start: number, end: number, step: number, signal: AbortSignal): Promise<Points[]> {
  const w = lookback(step) + "s";
  const all = await Promise.all(lines.map((l) => read(l.expr(sel, w), start, end, step, signal, l.nan)));
  return all.map((s) => s[0]?.points ?? []);
}
