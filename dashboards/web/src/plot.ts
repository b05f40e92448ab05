// One chart: uPlot, with the line of the limit, the marks of the decisions and hatched gaps drawn by us.
import uPlot from "uplot";
import { holes, spans, ticks, type Cell, type Frame } from "./frame.ts";
import { inks, type Ink } from "./theme.ts";
import { follow as fingers, past, type Window } from "./touch.ts";
import { clock, day, month } from "./units.ts";

export interface Stroke {
  label: string;
  ink: Ink;
  dash?: number[];
  steps?: boolean; // holds its value until the next point
  fill?: boolean;
}

export interface Limit {
  label: string;
  value: number;
  soft?: boolean; // a request rather than a limit: drawn dashed
  drawn?: boolean; // one of the strokes draws it; only its name is written here
}

export interface Mark {
  t: number;
  up: boolean;
}

export interface Spec {
  height: number;
  strokes: Stroke[];
  limits: Limit[];
  marks: Mark[];
  unit: (v: number) => string; // for the numbers on the scale
  binary: boolean;
  floor: number; // the scale is never smaller than this
  from: number;
  to: number;
  now: number; // beyond it there is nothing to look at
  frame: Frame; // the columns of the strokes, in their order
  lacks: Cell[]; // of how many parts the sum lacks, at the frame's moments
}

export interface Doors {
  onCursor: (t: number | null) => void;
  onZoom: (from: number, to: number) => void;
  onBack: () => void;
}

const font = "11px Inter, system-ui, sans-serif";

export class Plot {
  private u: uPlot;
  private ink: Record<Ink, string>;
  private pointer: number | null = null; // where the mouse is, in pixels from the left
  private cursor: number | null = null; // the moment that the cursor stands at
  private pinched: Window | null = null; // what two fingers hold, until they let go
  private letGo: () => void;

  constructor(
    private readonly el: HTMLElement,
    private spec: Spec,
    private readonly doors: Doors,
  ) {
    this.ink = inks(el);
    this.u = new uPlot(this.options(), this.data(), el);
    this.follow();
    this.letGo = this.touch();
  }

  destroy() {
    this.letGo();
    this.u.destroy();
  }

  /** draw shows another spec; strokes and height stay those of the first. */
  draw(spec: Spec) {
    this.spec = spec;
    this.u.batch(() => {
      this.u.setData(this.data(), false);
      this.show();
    });
    if (this.pointer === null) this.point(this.cursor);
    else this.tell();
  }

  /** shown is the window that is drawn. */
  private shown(): Window {
    return this.pinched ?? [this.spec.from, this.spec.to];
  }

  private show() {
    const [min, max] = this.shown();
    this.u.setScale("x", { min, max });
  }

  resize(width: number) {
    if (width > 0 && width !== this.u.width) this.u.setSize({ width, height: this.spec.height });
  }

  /** point puts the cursor at a moment, or takes it away. */
  point(t: number | null) {
    this.cursor = t;
    if (this.pointer !== null) return; // it is where the mouse is
    this.u.setCursor({ left: t === null ? -10 : this.u.valToPos(t, "x"), top: t === null ? -10 : 1 });
  }

  /** release lets go of the mouse until it moves again: the keys have the cursor now. */
  release() {
    this.pointer = null;
  }

  private data(): uPlot.AlignedData {
    return [this.spec.frame.t, ...this.spec.frame.cols] as uPlot.AlignedData;
  }

  private top(max: number | null): number {
    const most = Math.max(max ?? 0, this.spec.floor, ...this.spec.limits.map((l) => l.value));
    const lined = this.spec.limits.some((l) => l.value > most * 0.85);
    return most * (lined ? 1.22 : 1.08) || 1; // room for the line's name above it
  }

  private options(): uPlot.Options {
    const { spec, ink } = this;
    return {
      width: Math.max(1, this.el.clientWidth),
      height: spec.height,
      padding: [0, 0, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 7, width: 2 }, drag: { x: true, y: false, setScale: false, dist: 6 }, bind: { dblclick: () => () => null } },
      scales: { x: { time: true, range: () => this.shown() }, y: { range: (_u, _min, max) => [0, this.top(max)] } },
      axes: [{ stroke: ink.soft, font, size: 24, gap: 4, space: (u) => (u.width < 500 ? 64 : 100), grid: { show: false }, ticks: { show: false }, values: (u, at, _a, _s, incr) => at.map((t) => (inside(u, t) ? label(t, incr) : "")) }, { show: false }],
      series: [{}, ...spec.strokes.map((s) => this.series(s))],
      hooks: {
        drawClear: [(u) => this.under(u)],
        draw: [(u) => this.over(u)],
        setSelect: [(u) => this.selected(u)],
      },
    };
  }

  private series(s: Stroke): uPlot.Series {
    const color = this.ink[s.ink];
    return {
      stroke: color,
      width: 1.5,
      points: { show: false },
      ...(s.dash && { dash: s.dash }),
      ...(s.steps && { paths: uPlot.paths.stepped!({ align: 1 }) }),
      ...(s.fill && { fill: color.replace("rgb(", "rgba(").replace(")", ", 0.13)") }),
    };
  }

  /** follow tells where the pointer is, in time: when it moves, and when the time moves on below it. */
  private follow() {
    const { over } = this.u;
    over.addEventListener("mousemove", (e) => {
      this.pointer = e.offsetX;
      this.tell();
    });
    over.addEventListener("dblclick", () => this.doors.onBack());
    over.addEventListener("mouseleave", () => this.leave());
  }

  /** touch listens to fingers: one reads, two zoom and pan. */
  private touch() {
    const now = () => this.spec.now;
    return fingers(this.u.over, {
      window: () => this.shown(),
      onRead: (x) => {
        this.pointer = Math.min(this.u.width, Math.max(0, x));
        this.u.setCursor({ left: this.pointer, top: 1 });
        this.tell();
      },
      onPinch: (w) => {
        this.pinched = past(w, now());
        this.show();
      },
      onZoom: (w) => {
        this.pinched = null;
        this.doors.onZoom(...past(w, now()));
      },
      onLeave: () => this.leave(),
    });
  }

  private leave() {
    if (this.pointer === null) return;
    this.pointer = null;
    this.doors.onCursor(null);
  }

  private tell() {
    if (this.pointer !== null) this.doors.onCursor(this.u.posToVal(this.pointer, "x"));
  }

  private selected(u: uPlot) {
    if (u.select.width < 6) return;
    const from = u.posToVal(u.select.left, "x");
    const to = u.posToVal(u.select.left + u.select.width, "x");
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.doors.onZoom(from, to);
  }

  /** under draws what lies below the lines: the grid and the gaps. */
  private under(u: uPlot) {
    const { ctx, bbox: b } = u;
    ctx.save();
    ctx.setLineDash([]);
    ctx.strokeStyle = this.ink.rule;
    ctx.lineWidth = devicePixelRatio;
    for (const v of this.ticks(u)) across(ctx, b, Math.round(u.valToPos(v, "y", true)) + 0.5);
    for (const [from, to] of holes(this.spec.frame)) this.hatch(u, from, to, b.height);
    ctx.strokeStyle = this.ink.hot;
    for (const [from, to] of spans(this.spec.frame.t, this.spec.lacks)) this.hatch(u, from, to, 8 * devicePixelRatio);
    ctx.restore();
  }

  private hatch(u: uPlot, from: number, to: number, height: number) {
    const { ctx, bbox: b } = u;
    const x0 = Math.max(b.left, u.valToPos(from, "x", true));
    const x1 = Math.min(b.left + b.width, u.valToPos(to, "x", true));
    if (x1 - x0 < 1) return;
    ctx.save();
    ctx.beginPath();
    ctx.rect(x0, b.top, x1 - x0, height);
    ctx.clip();
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.beginPath();
    const gap = 8 * devicePixelRatio;
    for (let x = Math.floor((x0 - b.height) / gap) * gap; x < x1; x += gap) {
      ctx.moveTo(x, b.top + b.height);
      ctx.lineTo(x + b.height, b.top);
    }
    ctx.stroke();
    ctx.restore();
  }

  /** over draws what lies above the lines: limits, decisions, and the scale's numbers. */
  private over(u: uPlot) {
    const { ctx, bbox: b } = u;
    const px = devicePixelRatio;
    ctx.save();
    ctx.font = font.replace("11px", 11 * px + "px");
    ctx.lineJoin = "round";
    const unit = this.spec.unit;
    for (const v of this.ticks(u)) this.text(u, unit(v), b.left + 6 * px, u.valToPos(v, "y", true) - 4 * px, this.ink.soft, "left");
    this.decisions(u);
    for (const l of this.spec.limits) {
      const y = Math.round(u.valToPos(l.value, "y", true));
      ctx.strokeStyle = this.ink.ink;
      ctx.lineWidth = 1.5 * px;
      ctx.setLineDash(l.soft ? [2 * px, 4 * px] : []);
      if (!l.drawn) across(ctx, b, y);
      ctx.setLineDash([]);
      this.text(u, l.label, b.left + b.width - 6 * px, y - 5 * px, this.ink.ink, "right", true);
    }
    ctx.restore();
  }

  /** ticks are the values on the scale that get a number: round ones that no limit's line runs into. */
  private ticks(u: uPlot): number[] {
    const top = u.scales.y!.max!;
    return ticks(top, 3, this.spec.binary).filter((v) => v < top * 0.95 && this.spec.limits.every((l) => Math.abs(l.value - v) > top * 0.04));
  }

  /** decisions marks each decision; where they stand too close, only the triangles at the top remain. */
  private decisions(u: uPlot) {
    const [from, to] = this.shown();
    const shown = this.spec.marks.filter((m) => m.t >= from && m.t <= to);
    const dense = shown.length > u.width / 24;
    const last = { up: -Infinity, down: -Infinity };
    for (const m of shown.sort((a, b) => a.t - b.t)) {
      const x = u.valToPos(m.t, "x");
      const way = m.up ? "up" : "down";
      if (dense && x - last[way] < 14) continue;
      last[way] = x;
      this.decision(u, m, !dense);
    }
  }

  private decision(u: uPlot, m: Mark, line: boolean) {
    const { ctx, bbox: b } = u;
    const px = devicePixelRatio;
    const x = Math.round(u.valToPos(m.t, "x", true)) + 0.5;
    ctx.strokeStyle = ctx.fillStyle = this.ink.hot;
    ctx.lineWidth = px;
    ctx.setLineDash([3 * px, 3 * px]);
    ctx.beginPath();
    ctx.moveTo(x, b.top);
    if (line) ctx.lineTo(x, b.top + b.height);
    ctx.stroke();
    ctx.setLineDash([]);
    const [tip, base] = m.up ? [b.top + px, b.top + 8 * px] : [b.top + 8 * px, b.top + px];
    ctx.beginPath();
    ctx.moveTo(x, tip);
    ctx.lineTo(x - 4.5 * px, base);
    ctx.lineTo(x + 4.5 * px, base);
    ctx.fill();
  }

  private text(u: uPlot, s: string, x: number, y: number, color: string, align: CanvasTextAlign, bold = false) {
    const { ctx } = u;
    if (y < 12 * devicePixelRatio) y += 18 * devicePixelRatio; // below its line when there is no room above
    const was = ctx.font;
    if (bold) ctx.font = "600 " + was;
    ctx.textAlign = align;
    ctx.textBaseline = "alphabetic";
    ctx.strokeStyle = this.ink.card;
    ctx.lineWidth = 3 * devicePixelRatio;
    ctx.strokeText(s, x, y);
    ctx.fillStyle = color;
    ctx.fillText(s, x, y);
    ctx.font = was;
  }
}

function across(ctx: CanvasRenderingContext2D, b: uPlot.BBox, y: number) {
  ctx.beginPath();
  ctx.moveTo(b.left, y);
  ctx.lineTo(b.left + b.width, y);
  ctx.stroke();
}

/** inside says whether a label at t would stand wholly within the chart. */
function inside(u: uPlot, t: number): boolean {
  const x = u.valToPos(t, "x");
  return x > 26 && x < u.width - 26;
}

/** label names a moment on the axis as closely as the axis is divided. */
function label(t: number, incr: number): string {
  if (incr >= 28 * 86400) return month(t);
  if (incr >= 86400) return day(t);
  const s = clock(t);
  if (incr < 60) return s;
  return s.startsWith("00:00") ? day(t) : s.slice(0, 5);
}
