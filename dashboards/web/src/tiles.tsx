// The five tiles: what is used, of what, what is left, who is busiest.
import type { ComponentChildren } from "preact";
import { link, ranges, rangeNames, type Address } from "./address.ts";
import type { Container, Num, Overview, Parts } from "./contract.ts";
import { nodeLines, type Labels } from "./lines.ts";
import { nodeKey } from "./live.ts";
import { Head, Meter, partsSay, Section, Spark } from "./marks.tsx";
import type { ViewProps } from "./page.tsx";
import { usePicture } from "./picture.ts";
import { cores, disk, gapSays, hidden, memory, memoryOf, rate, none, rateParts, ratesIn, share, silent, sold, span } from "./units.ts";

const key = (k: string) => nodeLines.findIndex((l) => l.key === k);

/** busiest finds the container that has most of something. */
export function busiest(data: Overview, pick: (c: Container) => Num): Container | null {
  let best: Container | null = null;
  for (const c of data.containers) if ((pick(c) ?? 0) > (best ? pick(best)! : 0)) best = c;
  return best;
}

export const containerView = (c: Container) => ({ at: "container" as const, node: c.node, namespace: c.namespace, pod: c.pod, name: c.name });

const plus = (a: Num, b: Num): Num => (a === null && b === null ? null : (a ?? 0) + (b ?? 0));

/** at takes from a rate what its two readings were apart from their clock: a machine that is busy altogether is not read as more than that. */
const at = (v: Num, most: Num): Num => (v !== null && most !== null && v > most && v < most * 1.05 ? most : v);

const ioOf = (c: Container) => plus(c.diskRead, c.diskWrite);
const netOf = (c: Container) => plus(c.netReceive, c.netTransmit);

export function Tiles(p: ViewProps) {
  const { gap } = p.data.node;
  if (!gap || !hidden(gap)) return <Known {...p} />;
  return (
    <section aria-label="The machine">
      <p class="note">{gapSays(gap, p.live.now())}.</p>
      <p class="under">
        <Report path="rightsize">Right sizes</Report>
      </p>
    </section>
  );
}

/** Known are the tiles of machines that may be seen. */
function Known({ live, data, address }: ViewProps) {
  const n = data.node;
  const trail = live.trails.get(nodeKey(""), nodeLines.length);
  const p = usePicture({ lines: nodeLines, sel: {}, trail, address: { ...address, from: null, to: null }, live });
  const col = (...keys: string[]) => p.frame.t.map((_, i) => keys.map((k) => p.frame.cols[key(k)]?.[i]).reduce((a, b) => (a == null ? b : b == null ? a : a + b)));
  const high = (c: (number | null | undefined)[]) => Math.max(0, ...c.filter((v): v is number => typeof v === "number"));
  const spark = (ink: "a" | "b" | "c" | "d", c: (number | null | undefined)[], top: number | null, line = top !== null) => (
    <Spark t={p.frame.t} col={c} from={p.from} to={p.to} top={top ?? (high(c) * 1.2 || 1)} ink={ink} line={line} />
  );
  const pressures = [
    ["CPU", n.cpuPressure, "cpuPressure"],
    ["memory", n.memoryPressure, "memoryPressure"],
    ["disk", n.ioPressure, "ioPressure"],
  ] as [string, Num, string][];
  const worst = pressures.reduce((a, b) => ((b[1] ?? -1) > (a[1] ?? -1) ? b : a));
  const [used, ofMemory] = memoryOf(n.workingSet, n.memory);
  const [io, ioUnit] = rateParts(plus(n.diskRead, n.diskWrite));
  const [read, written] = ratesIn(n.diskRead, n.diskWrite);
  const [received, sent] = ratesIn(n.netReceive, n.netTransmit);
  const [net, netUnit] = rateParts(plus(n.netReceive, n.netTransmit));
  const all = data.containers.length >= data.total; // who has most of something can be told
  const busy = data.containers.find((c) => c.title === n.busiest && c.cpu !== null) ?? (all ? busiest(data, (c) => c.cpu) : null);
  const who = (c: Container | null, pick: (c: Container) => Num, figure: (v: Num) => string, whole: Num = null) =>
    c && (all || c === busy) && <Busiest c={c} figure={figure(pick(c))} more={whole !== null && pick(c)! > whole} address={address} />;
  const most = (pick: (c: Container) => Num, figure: (v: Num) => string, whole?: Num) => who(busiest(data, pick), pick, figure, whole);
  const col1 = col(worst[2]);
  const age = live.now() - (p.frame.t[0] ?? live.now());
  const young = age < ranges[address.range]! - 60;
  return (
    <section aria-label={`The machine, ${rangeNames[address.range]}`}>
      {n.gap && !data.nodes.some((m) => silent(m.gap)) && <p class="note">{gapSays(n.gap, live.now())}.</p>}
      <div class="tiles">
        <Tile name="CPU" big={cores(at(n.cpu, n.cores))} unit={n.cores === null ? "cores" : `of ${sold(n.cores)}`} spark={spark("a", col("cpu"), n.cores)} who={who(busy, (c) => c.cpu, cores)}>
          {n.partial?.includes("cpu") && lacking(n.parts)}
          {n.cpu !== null && n.cores !== null && `${cores(Math.max(0, n.cores - n.cpu))} cores free`}
          {n.load1 !== null && `load ${n.load1.toFixed(2)}`}
        </Tile>
        <Tile name="Memory" big={used} unit={ofMemory} spark={spark("b", col("memory"), n.memory)} who={most((c) => c.workingSet, memory)}>
          {n.partial?.includes("workingSet") && lacking(n.parts)}
          {n.workingSet !== null && n.memory !== null && `${memory(n.memory - n.workingSet)} free`}
          {n.swap === null ? "" : n.swap ? `${memory(n.swap)} swapped out` : "no swap used"}
        </Tile>
        <Tile name="Pressure" big={share(worst[1]).replace(/\s%$/, "")} unit={worst[1] === null ? "not measured" : `% waited for ${worst[0]}`} spark={spark("c", col1, Math.max(0.2, high(col1) * 1.1), false)} who={most((c) => c.cpuPressure, share)}>
          {pressures.filter((x) => x !== worst && x[1] !== null).map(([name, v]) => `${share(v)} for ${name}`)}
        </Tile>
        <Tile name="Disk" big={io} unit={ioUnit || "not measured"} spark={spark("b", col("diskRead", "diskWrite"), null)} who={most(ioOf, rate)}>
          {io === none ? "" : `${read} read, ${written} written`}
          {n.diskFree !== null && `${disk(n.diskFree)}${n.diskSize === null ? "" : ` of ${disk(n.diskSize)}`} free`}
        </Tile>
        <Tile name="Network" big={net} unit={netUnit || "not measured"} spark={spark("a", col("netReceive", "netTransmit"), null)} who={most(netOf, rate, plus(n.netReceive, n.netTransmit))}>
          {net === none ? "" : `${received} in, ${sent} out`}
          {n.netErrors ? <em>{n.netErrors.toFixed(1)} errors or drops a second</em> : n.netErrors === 0 ? "no errors" : ""}
        </Tile>
      </div>
      <p class="under">
        <span>
          <a href={link(address, { at: "machine", node: data.nodes.length === 1 ? data.nodes[0]!.name : "" })}>The machine’s charts</a>
          {" · "}
          <Report path="capacity">Room left</Report>
          {" · "}
          <Report path="rightsize">Right sizes</Report>
        </span>
        <span>{p.error ? `No history: ${p.error}` : young ? `Collecting for ${span(age)}` : `Lines show ${rangeNames[address.range]}`}</span>
      </p>
    </section>
  );
}

/** Report links to a report of the server, which is a page of its own. */
const Report = ({ path, children }: { path: string; children: string }) => (
  <a href={`plimsoll/v1/${path}?format=html`} target="_blank" rel="noopener">
    {children}
  </a>
);

/** lacking is the mark of a tile whose sum lacks a part. */
const lacking = (p: Parts | undefined) => <span class="lacks">{p ? `of ${partsSay(p)}` : "a part of it is not known"}</span>;

interface TileProps {
  name: string;
  big: string;
  unit: string;
  spark: ComponentChildren;
  who: ComponentChildren;
  children: ComponentChildren[]; // a line each
}

function Tile({ name, big, unit, spark, who, children }: TileProps) {
  return (
    <section class="tile" aria-label={name}>
      <h2>{name}</h2>
      <p class="big">
        {big}
        <small>{" " + unit}</small>
      </p>
      {spark}
      {children.flat().map((line, i) => line && <p key={i} class="sub">{line}</p>)}
      {who}
    </section>
  );
}

interface BusiestProps {
  c: Container;
  figure: string;
  more: boolean; // than the whole machine: what stays on it is in it
  address: Address;
}

/** Busiest is who has most of something. A long name gives way to the figure. */
const Busiest = ({ c, figure, more, address }: BusiestProps) => (
  <>
    <p class="sub who">
      {"most by "}
      <a href={link(address, containerView(c))} title={c.title}>
        {c.title}
      </a>
      <b>{figure}</b>
    </p>
    {more && <p class="sub">with what stays on the machine</p>}
  </>
);

/** Machines lists the machines when there are several. */
export function Machines({ live, data, address }: ViewProps) {
  if (data.nodes.length < 2) return null;
  return (
    <Section id="machines" title="Machines" sub={data.totalNodes > data.nodes.length ? `the first ${data.nodes.length} of ${data.totalNodes}` : String(data.nodes.length)}>
      <div class="card">
        <table class="rows nodes">
          <Head columns={["Name", "CPU", "Memory", "CPU pressure", "Containers"]} />
          <tbody>
            {data.nodes.map((n) => (
              <tr key={n.name}>
                <td>
                  <a class="name" data-row href={link(address, { at: "machine", node: n.name })}>
                    {n.name}
                  </a>
                  {n.status && n.status !== "Ready" && <small><em>{n.status}</em></small>}
                  {n.gap && <small>{gapSays(n.gap, live.now())}</small>}
                </td>
                <Meter label="CPU" value={n.cpu} line={n.cores} whole={n.cores} text={[cores(n.cpu), n.cores === null ? "" : `of ${sold(n.cores)}`]} parts={n.partial?.includes("cpu") ? n.parts : undefined} />
                <Meter label="Memory" value={n.workingSet} line={n.memory} whole={n.memory} ink="b" text={memoryOf(n.workingSet, n.memory)} parts={n.partial?.includes("workingSet") ? n.parts : undefined} />
                <td data-label="CPU pressure">{share(n.cpuPressure)}</td>
                <td data-label="Containers">{n.containers ?? none}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}

export const nodeLabels = (name: string): Labels => (name ? { node: name } : {});
