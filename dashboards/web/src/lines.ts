// The lines of the charts: where each finds its newest value in the live picture, and how the history is
// asked for it. Metric names are those of internal/metric/rows.go.
import type { Container, Node, Num, Scaled, Workload } from "./contract.ts";

/** Labels select what is asked about: a label and the value it has. */
export type Labels = Record<string, string>;

/** Ask is a structured query of GET /plimsoll/v1/series, without the time. */
export interface Ask {
  metric: string;
  /** func is what is done over time; "rate" of a counter needs two points. */
  func: "rate" | "last" | "max" | "avg";
  /** wide is done instead where the chart's points are further apart than the history's. */
  wide?: "max" | "min" | "avg" | "last";
  /** coarse: asked only where the chart's points are further apart than the history's. */
  coarse?: true;
  join?: "max"; // where it is otherwise than the catalogue has it: of what is the same thing twice
  by?: string[]; // labels that stay; none: all is joined into one line
  sub?: string; // the interface, device or scaling metric
  /** over is a counter by whose rate this one's is divided, and nan what nothing by nothing means. */
  over?: string;
  nan?: number;
}

export interface Line<T> {
  key: string;
  now: (row: T) => Num;
  /** asks are tried in order until one has points. */
  asks: Ask[];
}

const rate = (metric: string): Ask => ({ metric, func: "rate" });
/** gauge takes each point as it was where the history's own points are asked for, else wide's choice of them. */
const gauge = (wide: Ask["wide"], metric: string, more: Pick<Ask, "join" | "sub" | "coarse"> = {}): Ask => ({ metric, func: "last", wide, ...more });

/** containerCPU is also asked for all containers at once. */
export const containerCPU = rate("container_cpu_usage_seconds_total");
const memory = "container_memory_working_set_bytes";
const throttled: Ask = { ...rate("container_cpu_cfs_throttled_periods_total"), over: "container_cpu_cfs_periods_total", nan: 0 };
/** network is a container's own, or that of the pod it shares one with. */
const network = (what: string) => [rate(`container_network_${what}_bytes_total`), rate(`pod_network_${what}_bytes_total`)];

export const containerLines: Line<Container>[] = [
  { key: "cpu", now: (c) => c.cpu, asks: [containerCPU] },
  { key: "memory", now: (c) => c.workingSet, asks: [gauge("max", memory, { join: "max" })] },
  { key: "throttled", now: (c) => c.throttled, asks: [throttled] },
  { key: "cpuPressure", now: (c) => c.cpuPressure, asks: [rate("container_pressure_cpu_waiting_seconds_total")] },
  { key: "memoryPressure", now: (c) => c.memoryPressure, asks: [rate("container_pressure_memory_waiting_seconds_total")] },
  { key: "ioPressure", now: (c) => c.ioPressure, asks: [rate("container_pressure_io_waiting_seconds_total")] },
  { key: "netReceive", now: (c) => c.netReceive, asks: network("receive") },
  { key: "netTransmit", now: (c) => c.netTransmit, asks: network("transmit") },
  { key: "diskRead", now: (c) => c.diskRead, asks: [rate("container_fs_reads_bytes_total")] },
  { key: "diskWrite", now: (c) => c.diskWrite, asks: [rate("container_fs_writes_bytes_total")] },
];

export const nodeLines: Line<Node>[] = [
  { key: "cpu", now: (n) => n.cpu, asks: [rate("node_cpu_usage_seconds_total")] },
  { key: "memory", now: (n) => n.workingSet, asks: [gauge("max", "node_memory_working_set_bytes")] },
  { key: "cpuPressure", now: (n) => n.cpuPressure, asks: [rate("node_pressure_cpu_waiting_seconds_total")] },
  { key: "memoryPressure", now: (n) => n.memoryPressure, asks: [rate("node_pressure_memory_waiting_seconds_total")] },
  { key: "ioPressure", now: (n) => n.ioPressure, asks: [rate("node_pressure_io_waiting_seconds_total")] },
  { key: "netReceive", now: (n) => n.netReceive, asks: [rate("node_network_receive_bytes_total")] },
  { key: "netTransmit", now: (n) => n.netTransmit, asks: [rate("node_network_transmit_bytes_total")] },
  { key: "diskRead", now: (n) => n.diskRead, asks: [rate("node_fs_reads_bytes_total")] },
  { key: "diskWrite", now: (n) => n.diskWrite, asks: [rate("node_fs_writes_bytes_total")] },
];

/** Group is a workload as the live picture has it: its own row, if it is scaled, and its containers. */
export interface Group {
  containers: Container[];
  scaled: Scaled | null;
  sums: Pick<Workload, "cpu" | "workingSet" | "parts"> | null;
}

const total = (pick: (c: Container) => Num) => (g: Group) => {
  const known = g.containers.map(pick).filter((v) => v !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) : null;
};

export const groupLines: Line<Group>[] = [
  { key: "cpu", now: (g) => g.sums?.cpu ?? total((c) => c.cpu)(g), asks: [containerCPU] },
  { key: "memory", now: (g) => g.sums?.workingSet ?? total((c) => c.workingSet)(g), asks: [gauge("last", memory)] },
  { key: "throttled", now: (g) => worst(g.containers.map((c) => c.throttled)), asks: [throttled] },
  { key: "cpuPressure", now: (g) => worst(g.containers.map((c) => c.cpuPressure)), asks: containerLines[3]!.asks },
  { key: "netReceive", now: total((c) => c.netReceive), asks: containerLines[6]!.asks },
  { key: "netTransmit", now: total((c) => c.netTransmit), asks: containerLines[7]!.asks },
  { key: "diskRead", now: total((c) => c.diskRead), asks: containerLines[8]!.asks },
  { key: "diskWrite", now: total((c) => c.diskWrite), asks: containerLines[9]!.asks },
  { key: "lacks", now: (g) => (g.sums?.parts ? g.sums.parts.of - g.sums.parts.counted : null), asks: [gauge("max", "workload_missing_parts", { join: "max" })] },
];

const worst = (v: Num[]) => v.reduce((a, b) => (b === null ? a : a === null ? b : Math.max(a, b)), null);

/** counted says whether a target's replicas are known: the autoscaler has looked at it since it began, and could. */
export const counted = (s: Scaled) => s.updated !== null && s.gap?.reason !== "policy" && s.gap?.reason !== "scale";

const counts = (pick: (s: Scaled) => Num) => (g: Group) => (g.scaled && counted(g.scaled) ? pick(g.scaled) : null);

/**
 * scaledLines are the further lines of a scaled workload: replicas, and load and target of each metric. Where the count changes more often
 * than a chart has points, the last of it in each is any; the most, the least and the mean are what was so.
 */
export function scaledLines(metrics: string[]): Line<Group>[] {
  const sub = (m: string) => (metrics.length > 1 ? { sub: m } : {});
  return [
    { key: "desired", now: counts((s) => s.desired), asks: [gauge("last", "workload_replicas_desired", { join: "max" })] },
    { key: "ready", now: counts((s) => s.ready), asks: [gauge("last", "workload_replicas_ready", { join: "max" })] },
    { key: "most", now: counts((s) => s.desired), asks: [gauge("max", "workload_replicas_desired", { join: "max", coarse: true })] },
    { key: "least", now: counts((s) => s.desired), asks: [gauge("min", "workload_replicas_desired", { join: "max", coarse: true })] },
    { key: "mean", now: counts((s) => s.ready), asks: [gauge("avg", "workload_replicas_ready", { join: "max", coarse: true })] },
    ...metrics.flatMap((m): Line<Group>[] => [
      { key: "load:" + m, now: (g) => load(g, m)?.load ?? null, asks: [gauge("avg", "workload_scale_load_ratio", sub(m))] },
      { key: "target:" + m, now: (g) => load(g, m)?.target ?? null, asks: [gauge("last", "workload_scale_target_ratio", sub(m))] },
    ]),
  ];
}

const load = (g: Group, name: string) => g.scaled?.metrics.find((m) => m.name === name);
