// The charts of a page: one cursor through all of them, one zoom, the decisions' marks in each.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Gap } from "./contract.ts";
import { at as valueAt, type Frame } from "./frame.ts";
import { Numbers } from "./numbers.tsx";
import type { Picture } from "./picture.ts";
import { Plot, type Limit, type Mark, type Spec, type Stroke } from "./plot.ts";
import { onTheme } from "./theme.ts";
import { past } from "./touch.ts";
import { clock, count, gapSays, many, moment, span, tight } from "./units.ts";

export interface ChartSpec {
  id: string;
  title: string;
  sub: string;
  strokes: (Stroke & { key: string })[]; // key names the column of the picture
  limits?: Limit[];
  unit: (v: number | null) => string;
  scale?: (v: number | null) => string; // the numbers on the scale, where they are shorter
  wide?: boolean; // takes the whole width
  binary?: boolean;
  floor?: number;
  height?: number;
  lacks?: string; // the column that says of how many parts its sums lack
}

export interface NamedMark extends Mark {
  text: string;
}

interface Props {
  picture: Picture;
  keys: string[]; // the names of the picture's columns
  charts: ChartSpec[];
  marks: NamedMark[];
  gap: Gap | null; // why there is no value now
  since: number;
  now: number;
  cursor?: [number | null, (t: number | null) => void]; // where the page keeps it for several groups of charts
  onZoom: (from: number | null, to: number | null) => void;
  children?: ComponentChildren; // what stands in the grid after the charts
}

export function Charts(p: Props) {
  const own = useState<number | null>(null);
  const [cursor, setCursor] = p.cursor ?? own;
  const [paint, setPaint] = useState(0);
  useEffect(() => onTheme(() => setPaint((n) => n + 1)), []);
  const [shown, bare] = fold(p);
  return (
    <div class="charts">
      {shown.map((c) => (
        <Chart key={c.id + paint} {...p} chart={c} at={cursor} onCursor={setCursor} />
      ))}
      {p.children}
      {bare.length > 0 && <Bare titles={bare.map((c) => c.title)} all={!shown.length} />}
    </div>
  );
}

const young = 120; // seconds after the start in which a chart without a value still waits for its first

/** waits says whether first values may still be to come: soon after the start, of what nothing is known from before it. */
const waits = ({ picture: { frame, to, step }, since, now }: Pick<Props, "picture" | "since" | "now">) => now - since < young && to >= since && !(frame.t[0]! < since - step);

/** columns are a chart's own, in the order of its strokes. */
const columns = (p: Pick<Props, "picture" | "keys">, c: ChartSpec) => c.strokes.map((s) => p.picture.frame.cols[p.keys.indexOf(s.key)] ?? []);
const blank = (cols: Frame["cols"]) => cols.every((col) => col.every((v) => typeof v !== "number"));

/** fold parts the charts that have something to draw, or are still waiting for it, from those that one line is enough for. */
export function fold(p: Pick<Props, "picture" | "keys" | "charts" | "gap" | "since" | "now">): [ChartSpec[], ChartSpec[]] {
  const bare = p.charts.filter((c) => blank(columns(p, c)));
  const waiting = p.picture.loading || p.picture.error || p.gap || waits(p);
  if (waiting) return [p.charts, []];
  return [p.charts.filter((c) => !bare.includes(c)), bare];
}

/** Bare says in one line which charts have nothing to draw. */
const Bare = ({ titles, all }: { titles: string[]; all: boolean }) =>
  all ? (
    <p class="card empty bare">There is no value of it in this time: it was not there, or it is not measured here. A longer range may know it.</p>
  ) : (
    <p class="note bare">{and(titles)}: no value in this time. Not measured here, or the thing was not there.</p>
  );

const and = (names: string[]) => names.join(", ").replace(/, ([^,]*)$/, " and $1");

interface ChartProps extends Props {
  chart: ChartSpec;
  at: number | null; // the cursor
  onCursor: (t: number | null) => void;
}

function Chart(p: ChartProps) {
  const { chart: c, picture, at: cursor } = p;
  const cols = columns(p, c);
  const frame: Frame = { t: picture.frame.t, cols };
  const lacks = (c.lacks && picture.frame.cols[p.keys.indexOf(c.lacks)]) || [];
  const spec: Spec = { height: c.height ?? 170, strokes: c.strokes, limits: c.limits ?? [], marks: p.marks, unit: c.scale ?? c.unit, binary: !!c.binary, floor: c.floor ?? 0, from: picture.from, to: picture.to, now: p.now, frame, lacks };
  const [said, setSaid] = useState("");
  const box = useRef<HTMLDivElement>(null);
  const plot = usePlot(box, spec, p);
  useEffect(() => plot.current?.point(cursor), [cursor]);
  const i = cursor === null ? frame.t.length - 1 : nearest(frame.t, cursor);
  const none = blank(cols);
  const at = cursor === null ? null : (frame.t[i] ?? null);
  const values = c.strokes.map((s, k) => ({ s, v: i < 0 ? null : valueAt(cols[k]!, i) }));
  const mark = cursor === null ? undefined : p.marks.find((m) => Math.abs(m.t - cursor) <= Math.max(1, (picture.to - picture.from) / 150));
  const onKey = (e: KeyboardEvent) => {
    const t = steer(e, frame.t, cursor, picture, (a, b) => p.onZoom(...past([a, b], p.now)));
    if (t === undefined) return;
    plot.current?.release();
    e.preventDefault();
    e.stopPropagation();
    p.onCursor(t);
    if (t !== null) setSaid(speak(c, frame, t));
  };
  const name = `${c.title}, ${c.sub}`;
  return (
    <figure class={c.wide ? "chart wide" : "chart"} aria-labelledby={c.id}>
      <figcaption>
        <h2 id={c.id}>
          {c.title} <small>{at === null ? c.sub : <time>{moment(at, p.now)}</time>}</small>
        </h2>
        <Legend values={values} unit={c.unit} />
      </figcaption>
      <div class={none ? "plot none" : "plot"} ref={box} tabIndex={0} role="img" aria-label={`${name}. Arrow keys move the cursor, plus and minus zoom.`} onKeyDown={onKey} onBlur={() => p.onCursor(null)}>
        {none && <p class="empty">{why(p)}</p>}
      </div>
      <div>
        {mark && <p class="said">{tight(mark.text)}</p>}
        {at !== null && (valueAt(lacks, i) ?? 0) > 0 && <p class="said lacks">The sum lacks {many(count(valueAt(lacks, i)), "pod")}.</p>}
        <p class="unseen" role="status">
          {said}
        </p>
        <Numbers title={c.title} frame={frame} labels={c.strokes.map((s) => s.label)} unit={c.unit} now={p.now} />
      </div>
    </figure>
  );
}

/** usePlot keeps one Plot in the box, drawn anew with each spec and as wide as the box. */
function usePlot(box: { current: HTMLDivElement | null }, spec: Spec, p: ChartProps) {
  const plot = useRef<Plot | null>(null);
  const doors = useRef(p);
  doors.current = p;
  const lines = spec.strokes.map((s) => s.label).join();
  useEffect(() => {
    const made = new Plot(box.current!, spec, {
      onCursor: (t) => doors.current.onCursor(t),
      onZoom: (a, b) => doors.current.onZoom(a, b),
      onBack: () => doors.current.onZoom(null, null),
    });
    plot.current = made;
    const watch = new ResizeObserver(([e]) => made.resize(Math.floor(e!.contentRect.width)));
    watch.observe(box.current!);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [lines]);
  useEffect(() => plot.current?.draw(spec));
  return plot;
}

/** why says why a chart has nothing to draw. */
function why(p: Props): string {
  const { picture, gap, since, now } = p;
  if (picture.error) return `No history: ${picture.error}`;
  if (picture.loading) return "Reading the history…";
  if (gap) return gapSays(gap, now) + ".";
  if (waits(p)) return `Collecting for ${span(now - since)}.`;
  return "No value in this time: it is not measured here, or the thing was not there.";
}

function Legend({ values, unit }: { values: { s: Stroke; v: number | null }[]; unit: ChartSpec["unit"] }) {
  return (
    <p class="legend">
      {values.map(({ s, v }) => (
        <span key={s.label} class={s.ink}>
          <svg viewBox="0 0 18 8" aria-hidden="true">
            <path d="M0 4H18" stroke-dasharray={s.dash?.join(" ")} />
          </svg>
          {s.label} <b>{unit(v)}</b>
        </span>
      ))}
    </p>
  );
}

function nearest(t: number[], x: number): number {
  let best = -1;
  for (let i = 0; i < t.length; i++) if (best < 0 || Math.abs(t[i]! - x) < Math.abs(t[best]! - x)) best = i;
  return best;
}

/** steer moves the cursor by a key; undefined: not one of its keys. */
function steer(e: KeyboardEvent, t: number[], cursor: number | null, w: Picture, zoom: (from: number, to: number) => void): number | null | undefined {
  const last = t.length - 1;
  const i = cursor === null ? last + 1 : nearest(t, cursor);
  const by = e.shiftKey ? 10 : 1;
  const to = (k: number) => t[Math.max(0, Math.min(last, k))] ?? null;
  const half = (w.to - w.from) / (e.key === "-" ? 1 : 4);
  const mid = cursor ?? w.to - half;
  switch (e.key) {
    case "ArrowLeft":
      return to(i - by);
    case "ArrowRight":
      return to(i + by);
    case "Home":
      return to(0);
    case "End":
      return to(last);
    case "+":
    case "=":
      if (half >= 10) zoom(mid - half, mid + half);
      return cursor;
    case "-":
      zoom(mid - half, mid + half);
      return cursor;
    case "Escape":
      return cursor === null ? undefined : null;
  }
  return undefined;
}

function speak(c: ChartSpec, f: Frame, t: number): string {
  const i = nearest(f.t, t);
  return clock(t) + ": " + c.strokes.map((s, k) => `${s.label} ${valueAt(f.cols[k]!, i) === null ? "no value" : c.unit(valueAt(f.cols[k]!, i))}`).join(", ");
}
