// The charts of each kind of page, in words and strokes.
import type { ChartSpec } from "./charts.tsx";
import type { Container, Load, Node, Num, Parts } from "./contract.ts";
import { partsSay } from "./marks.tsx";
import type { Limit, Stroke } from "./plot.ts";
import { cores, count, memory, rate, share, size, sold, whole } from "./units.ts";

const coresOf = (v: Num) => (v === null ? cores(v) : cores(v) + "\u00a0cores");
const dashed = [6, 4];
const dotted = [2, 3];
const chained = [8, 3, 2, 3];

const cpu = (sub: string, more: Partial<ChartSpec> = {}): ChartSpec => ({ id: "cpu", title: "CPU", sub, strokes: one("cpu", "used", "a"), unit: coresOf, scale: whole, ...more });
const workingSet = (sub: string, more: Partial<ChartSpec> = {}): ChartSpec => ({ id: "memory", title: "Memory", sub, strokes: one("memory", "used", "b"), unit: memory, scale: size, binary: true, ...more });
const waiting = (title: string, sub: string, strokes: ChartSpec["strokes"]): ChartSpec => ({ id: "pressure", title, sub, strokes, unit: share, floor: 0.05 });

const one = (key: string, label: string, ink: Stroke["ink"]) => [{ key, label, ink, fill: true }];

const pressureStrokes = [
  { key: "cpuPressure", label: "CPU", ink: "c" as const },
  { key: "memoryPressure", label: "memory", ink: "b" as const, dash: dashed },
  { key: "ioPressure", label: "disk", ink: "d" as const, dash: dotted },
];

const throttled: ChartSpec["strokes"][0] = { key: "throttled", label: "throttled", ink: "hot", dash: chained };

const flow = (id: string, title: string, [came, in_]: [string, string], [went, out]: [string, string]): ChartSpec => ({
  id,
  title,
  sub: `${in_} and ${out}`,
  strokes: [
    { key: came, label: in_, ink: "a", fill: true },
    { key: went, label: out, ink: "b", dash: dashed },
  ],
  unit: rate,
  scale: (v) => rate(v).replace(".0", ""),
  floor: 1000,
});

const traffic = [flow("network", "Network", ["netReceive", "received"], ["netTransmit", "sent"]), flow("disk", "Disk", ["diskRead", "read"], ["diskWrite", "written"])];

const limit = (v: Num, text: (v: Num) => string, what: string, soft?: boolean): Limit[] => (v === null ? [] : [{ label: `${what} ${text(v)}`, value: v, ...(soft && { soft }) }]);

export const containerCharts = (c: Container): ChartSpec[] => [
  cpu(c.cpuLimit === null ? "used; there is no limit" : "used, and its limit", {
    limits: [...limit(c.cpuRequest !== c.cpuLimit ? c.cpuRequest : null, sold, "request", true), ...limit(c.cpuLimit, sold, "limit")],
    floor: 0.05,
  }),
  workingSet(c.memoryLimit === null ? "working set; there is no limit" : "working set, and its limit", { limits: limit(c.memoryLimit, size, "limit"), floor: 1 << 20 }),
  waiting("Waiting", "share of time", [...pressureStrokes, throttled]),
  ...traffic,
];

export const machineCharts = (n: Node): ChartSpec[] => [
  cpu("used", { limits: limit(n.cores, sold, "all") }),
  workingSet("working set", { limits: limit(n.memory, size, "all") }),
  waiting("Pressure", "share of time something waited", pressureStrokes),
  ...traffic,
];

export const groupCharts = (lack: Parts | undefined): ChartSpec[] => [
  cpu(lack ? `now ${partsSay(lack)}` : "all its containers", { floor: 0.05, lacks: "lacks" }),
  workingSet(lack ? `working set, now ${partsSay(lack)}` : "working set of all its containers", { floor: 1 << 20, lacks: "lacks" }),
  waiting("Waiting", "of the container that waits most", [pressureStrokes[0]!, throttled]),
  ...traffic,
];

/** loadChart is a metric of a scaled workload against its line. */
export const loadChart = ({ name, of, amount, target }: Load, alone: boolean): ChartSpec => ({
  id: "load-" + name,
  title: alone ? "Load per replica" : `Load per replica: ${name}`,
  sub: amount ? `as a share of its line of ${amount}` : of ? `as a share of ${of}` : "as a share of its request",
  strokes: [...one("load:" + name, "load", "a"), { key: "target:" + name, label: "line", ink: "ink", steps: true }],
  limits: limit(target, (v) => amount || share(v), "line").map((l) => ({ ...l, drawn: true })),
  unit: share,
  height: 220,
  wide: true,
});

/** replicasBand is replicasChart over a time in which the count changed more often than can be drawn. */
export const replicasBand = (min: Num, max: Num): ChartSpec => ({
  ...replicasChart(min, max),
  sub: "most and least asked for in each step, and ready on average",
  strokes: [
    { key: "mean", label: "ready", ink: "b", fill: true },
    { key: "most", label: "most", ink: "ink" },
    { key: "least", label: "least", ink: "ink", dash: dashed },
  ],
  unit: (v) => (v === null ? count(v) : String(Math.round(v * 10) / 10)),
  scale: count,
});

const few = 20; // up to so many allowed replicas their number is drawn as a line

export const replicasChart = (min: Num, max: Num): ChartSpec => ({
  id: "replicas",
  title: "Replicas",
  sub: "asked for, and ready",
  strokes: [
    { key: "ready", label: "ready", ink: "b", fill: true, steps: true },
    { key: "desired", label: "asked for", ink: "ink", dash: dashed, steps: true },
  ],
  limits: max !== null && max <= few ? [{ label: `at most ${max}`, value: max, soft: true }] : [],
  unit: count,
  floor: Math.max(3, min ?? 0),
  height: 130,
  wide: true,
});
