// The lines of the charts: where each finds its newest value in the live picture, and how the history is
// asked for it. Metric names are those of internal/metric/rows.go.
import type { Container, Node, Num, Scaled, Workload } from "./contract.ts";
import { finest, lookback } from "./history.ts";

export interface Line<T> {
  key: string;
  now: (row: T) => Num;
  /** expr gives the PromQL for label matchers and a window. */
  expr: (sel: string, w: string) => string;
  /** nan is what a division of nothing by nothing means; a gap unless it is said. */
  nan?: number;
}

const narrow = lookback(finest) + "s";

/** matcher writes one label condition of PromQL. */
export const matcher = (name: string, value: string) => `${name}=${JSON.stringify(value)}`;

/** forgiving looks further back where the narrowest look finds too little for a rate: one late sample is no gap. */
export const forgiving = (expr: (w: string) => string, w: string) => (w === narrow ? `${expr(w)} or ${expr("45s")}` : expr(w));

const sumRate = (name: string) => (sel: string, w: string) => forgiving((w) => `sum(rate(${name}{${sel}}[${w}]))`, w);
const sumRates = (a: string, b: string) => (sel: string, w: string) => `${sumRate(a)(sel, w)} or ${sumRate(b)(sel, w)}`;
const maxRate = (name: string) => (sel: string, w: string) => forgiving((w) => `max(rate(${name}{${sel}}[${w}]))`, w);
/** gauge takes each point as it was where the history's own points are asked for, else over's choice of them. */
const gauge = (join: string, over: string, name: string) => (sel: string, w: string) => `${join}(${w === narrow ? "last" : over}_over_time(${name}{${sel}}[${w}]))`;

/** outward leaves out the interfaces that only carry on what a real one carries, as the live picture does. */
const outward = 'interface!~"lo|(veth|docker|br-|cni|flannel|cali|virbr|podman|lxc|dummy|nerdctl|kube-).*"';
const netRate = (name: string) => (sel: string, w: string) => sumRate(name)(sel ? `${sel},${outward}` : outward, w);

const throttled = (sel: string, w: string) =>
  forgiving((w) => `sum(rate(container_cpu_cfs_throttled_periods_total{${sel}}[${w}])) / sum(rate(container_cpu_cfs_periods_total{${sel}}[${w}]))`, w);

export const containerLines: Line<Container>[] = [
  { key: "cpu", now: (c) => c.cpu, expr: sumRate("container_cpu_usage_seconds_total") },
  { key: "memory", now: (c) => c.workingSet, expr: gauge("max", "max", "container_memory_working_set_bytes") },
  { key: "throttled", now: (c) => c.throttled, expr: throttled, nan: 0 },
  { key: "cpuPressure", now: (c) => c.cpuPressure, expr: maxRate("container_pressure_cpu_waiting_seconds_total") },
  { key: "memoryPressure", now: (c) => c.memoryPressure, expr: maxRate("container_pressure_memory_waiting_seconds_total") },
  { key: "ioPressure", now: (c) => c.ioPressure, expr: maxRate("container_pressure_io_waiting_seconds_total") },
  { key: "netReceive", now: (c) => c.netReceive, expr: sumRates("container_network_receive_bytes_total", "pod_network_receive_bytes_total") },
  { key: "netTransmit", now: (c) => c.netTransmit, expr: sumRates("container_network_transmit_bytes_total", "pod_network_transmit_bytes_total") },
  { key: "diskRead", now: (c) => c.diskRead, expr: sumRate("container_fs_reads_bytes_total") },
  { key: "diskWrite", now: (c) => c.diskWrite, expr: sumRate("container_fs_writes_bytes_total") },
];

export const nodeLines: Line<Node>[] = [
  { key: "cpu", now: (n) => n.cpu, expr: sumRate("node_cpu_usage_seconds_total") },
  { key: "memory", now: (n) => n.workingSet, expr: gauge("sum", "max", "node_memory_working_set_bytes") },
  { key: "cpuPressure", now: (n) => n.cpuPressure, expr: maxRate("node_pressure_cpu_waiting_seconds_total") },
  { key: "memoryPressure", now: (n) => n.memoryPressure, expr: maxRate("node_pressure_memory_waiting_seconds_total") },
  { key: "ioPressure", now: (n) => n.ioPressure, expr: maxRate("node_pressure_io_waiting_seconds_total") },
  { key: "netReceive", now: (n) => n.netReceive, expr: netRate("node_network_receive_bytes_total") },
  { key: "netTransmit", now: (n) => n.netTransmit, expr: netRate("node_network_transmit_bytes_total") },
  { key: "diskRead", now: (n) => n.diskRead, expr: sumRate("node_fs_reads_bytes_total") },
  { key: "diskWrite", now: (n) => n.diskWrite, expr: sumRate("node_fs_writes_bytes_total") },
];

/** Group is a workload as the live picture has it: its own row, if it is scaled, and its containers. */
export interface Group {
  containers: Container[];
  scaled: Scaled | null;
  sums: Pick<Workload, "cpu" | "workingSet"> | null;
}

const total = (pick: (c: Container) => Num) => (g: Group) => {
  const known = g.containers.map(pick).filter((v) => v !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) : null;
};

export const groupLines: Line<Group>[] = [
  { key: "cpu", now: (g) => g.sums?.cpu ?? total((c) => c.cpu)(g), expr: sumRate("container_cpu_usage_seconds_total") },
  { key: "memory", now: (g) => g.sums?.workingSet ?? total((c) => c.workingSet)(g), expr: gauge("sum", "last", "container_memory_working_set_bytes") },
  { key: "throttled", now: (g) => worst(g.containers.map((c) => c.throttled)), expr: throttled, nan: 0 },
  { key: "cpuPressure", now: (g) => worst(g.containers.map((c) => c.cpuPressure)), expr: maxRate("container_pressure_cpu_waiting_seconds_total") },
  { key: "netReceive", now: total((c) => c.netReceive), expr: containerLines[6]!.expr },
  { key: "netTransmit", now: total((c) => c.netTransmit), expr: containerLines[7]!.expr },
  { key: "diskRead", now: total((c) => c.diskRead), expr: containerLines[8]!.expr },
  { key: "diskWrite", now: total((c) => c.diskWrite), expr: containerLines[9]!.expr },
];

const worst = (v: Num[]) => v.reduce((a, b) => (b === null ? a : a === null ? b : Math.max(a, b)), null);

/** scaledLines are the further lines of a scaled workload: replicas, and load and target of each metric. */
export function scaledLines(metrics: string[]): Line<Group>[] {
  const of = (sel: string, m: string) => (metrics.length > 1 ? `${sel},${matcher("metric", m)}` : sel);
  return [
    { key: "wished", now: (g) => g.scaled?.wished ?? null, expr: gauge("max", "last", "workload_replicas_wished") },
    { key: "ready", now: (g) => g.scaled?.ready ?? null, expr: gauge("max", "last", "workload_replicas_ready") },
    ...metrics.flatMap((m): Line<Group>[] => [
      { key: "load:" + m, now: (g) => load(g, m)?.load ?? null, expr: (sel, w) => gauge("max", "avg", "workload_scale_load_ratio")(of(sel, m), w) },
      { key: "target:" + m, now: (g) => load(g, m)?.target ?? null, expr: (sel, w) => gauge("max", "last", "workload_scale_target_ratio")(of(sel, m), w) },
    ]),
  ];
}

const load = (g: Group, name: string) => g.scaled?.metrics.find((m) => m.name === name);
