// The charts of each kind of page, in words and strokes.
import type { ChartSpec } from "./charts.tsx";
import type { Container, Node, Num } from "./contract.ts";
import type { Limit, Stroke } from "./plot.ts";
import { cores, count, memory, rate, share, size, whole } from "./units.ts";

const coresOf = (v: Num) => (v === null ? cores(v) : cores(v) + "\u00a0cores");
const dashed = [6, 4];
const dotted = [2, 3];
const chained = [8, 3, 2, 3];

const one = (key: string, label: string, ink: Stroke["ink"]) => [{ key, label, ink, fill: true }];

const pressureStrokes = [
  { key: "cpuPressure", label: "CPU", ink: "c" as const },
  { key: "memoryPressure", label: "memory", ink: "b" as const, dash: dashed },
  { key: "ioPressure", label: "disk", ink: "d" as const, dash: dotted },
];

const traffic: ChartSpec[] = [
  {
    id: "network",
    title: "Network",
    sub: "received and sent",
    strokes: [
      { key: "netReceive", label: "received", ink: "a", fill: true },
      { key: "netTransmit", label: "sent", ink: "b", dash: dashed },
    ],
    unit: rate,
    scale: (v) => rate(v).replace(".0", ""),
    floor: 1000,
  },
  {
    id: "disk",
    title: "Disk",
    sub: "read and written",
    strokes: [
      { key: "diskRead", label: "read", ink: "a", fill: true },
      { key: "diskWrite", label: "written", ink: "b", dash: dashed },
    ],
    unit: rate,
    scale: (v) => rate(v).replace(".0", ""),
    floor: 1000,
  },
];

const limit = (v: Num, text: (v: Num) => string, what: string, soft?: boolean): Limit[] => (v === null ? [] : [{ label: `${what} ${text(v)}`, value: v, ...(soft && { soft }) }]);

export const containerCharts = (c: Container): ChartSpec[] => [
  {
    id: "cpu",
    title: "CPU",
    sub: c.cpuLimit === null ? "used; there is no limit" : "used, below its limit",
    strokes: one("cpu", "used", "a"),
    limits: [...limit(c.cpuRequest !== c.cpuLimit ? c.cpuRequest : null, (v) => whole(v) + " cores", "request", true), ...limit(c.cpuLimit, (v) => whole(v) + " cores", "limit")],
    unit: coresOf,
    scale: whole,
    floor: 0.05,
  },
  {
    id: "memory",
    title: "Memory",
    sub: c.memoryLimit === null ? "working set; there is no limit" : "working set, below its limit",
    strokes: one("memory", "used", "b"),
    limits: limit(c.memoryLimit, size, "limit"),
    unit: memory,
    scale: size,
    binary: true,
    floor: 1 << 20,
  },
  {
    id: "pressure",
    title: "Waiting",
    sub: "share of time",
    strokes: [...pressureStrokes, { key: "throttled", label: "throttled", ink: "hot", dash: chained }],
    unit: share,
    floor: 0.05,
  },
  ...traffic,
];

export const machineCharts = (n: Node): ChartSpec[] => [
  { id: "cpu", title: "CPU", sub: "used", strokes: one("cpu", "used", "a"), limits: limit(n.cores, (v) => `${whole(v)} cores`, "all"), unit: coresOf, scale: whole },
  { id: "memory", title: "Memory", sub: "working set", strokes: one("memory", "used", "b"), limits: limit(n.memory, size, "all"), unit: memory, scale: size, binary: true },
  { id: "pressure", title: "Pressure", sub: "share of time something waited", strokes: pressureStrokes, unit: share, floor: 0.05 },
  ...traffic,
];

export const groupCharts = (): ChartSpec[] => [
  { id: "cpu", title: "CPU", sub: "all its containers", strokes: one("cpu", "used", "a"), unit: coresOf, scale: whole, floor: 0.05 },
  { id: "memory", title: "Memory", sub: "working set of all its containers", strokes: one("memory", "used", "b"), unit: memory, scale: size, binary: true, floor: 1 << 20 },
  {
    id: "pressure",
    title: "Waiting",
    sub: "of the container that waits most",
    strokes: [pressureStrokes[0]!, { key: "throttled", label: "throttled", ink: "hot", dash: chained }],
    unit: share,
    floor: 0.05,
  },
  ...traffic,
];

/** loadChart is a metric of a scaled workload against its line. */
export const loadChart = (name: string, of: string, target: Num, alone: boolean): ChartSpec => ({
  id: "load-" + name,
  title: alone ? "Load per replica" : `Load per replica: ${name}`,
  sub: of ? `as a share of ${of}` : "as a share of its request",
  strokes: [...one("load:" + name, "load", "a"), { key: "target:" + name, label: "line", ink: "ink", steps: true }],
  limits: limit(target, share, "line").map((l) => ({ ...l, drawn: true })),
  unit: share,
  height: 220,
  wide: true,
});

const few = 20; // up to so many allowed replicas their number is drawn as a line

export const replicasChart = (min: number, max: number): ChartSpec => ({
  id: "replicas",
  title: "Replicas",
  sub: "asked for, and ready",
  strokes: [
    { key: "ready", label: "ready", ink: "b", fill: true, steps: true },
    { key: "desired", label: "asked for", ink: "ink", dash: dashed, steps: true },
  ],
  limits: max <= few ? [{ label: `at most ${max}`, value: max, soft: true }] : [],
  unit: count,
  floor: Math.max(3, min),
  height: 130,
  wide: true,
});
