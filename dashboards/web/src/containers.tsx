// The containers, what hurts first. Rows stay in their places for ten seconds, and while someone points at them.
import { useEffect, useRef, useState } from "preact/hooks";
import { link, rangeNames, ranges, type Address } from "./address.ts";
import type { Container, Node, Num, Overview } from "./contract.ts";
import { empty, grid, join, thin, type Frame } from "./frame.ts";
import { around, follow, read, step } from "./history.ts";
import { containerCPU, containerLines } from "./lines.ts";
import { containerKey, most, type Live } from "./live.ts";
import { Meter, Section, Spark } from "./marks.tsx";
import { Order, type Placed } from "./order.ts";
import { beyond, useBeyond } from "./beyond.ts";
import { matches } from "./overview.tsx";
import type { ViewProps } from "./page.tsx";
import { containerView } from "./tiles.tsx";
import { cores, count as counted, gapSays, memoryOf, seconds, share, silent, span, tight, whole } from "./units.ts";

const first = 100; // rows at most until all are asked for

/** sorts are the columns that rows can be sorted by: the name, the value, and what the server calls that order. */
const sorts: Record<string, [string, (c: Container) => Num | string, string]> = {
  name: ["Name", (c) => c.title, "name"],
  cpu: ["CPU, cores", (c) => c.cpu, "cpu"],
  memory: ["Memory", (c) => c.workingSet, "memory"],
  throttled: ["Throttled", (c) => c.throttled, "throttled"],
  pressure: ["CPU pressure", (c) => c.cpuPressure, "cpuPressure"],
  oom: ["OOM kills", (c) => c.oomKills, "oom"],
};

/** sorted puts containers in the desired order; without one, in that of what hurts. */
export function sorted(rows: Container[], sort: string): Container[] {
  const by = Object.hasOwn(sorts, sort) ? sorts[sort]![1] : (c: Container) => c.score;
  return [...rows].sort((a, b) => {
    const [x, y] = [by(a), by(b)];
    if (typeof x === "string" && typeof y === "string") return x.localeCompare(y, "en", { numeric: true });
    return ((y as Num) ?? -1) - ((x as Num) ?? -1) || (sort ? a.title.localeCompare(b.title, "en", { numeric: true }) : 0); // the server's order has its reasons
  });
}

export function Containers({ live, data, address, go }: ViewProps) {
  const order = useRef(new Order<Container>(containerKey));
  const [held, setHeld] = useState(false);
  const [all, setAll] = useState(false);
  const { q } = address;
  const by = Object.hasOwn(sorts, address.sort) ? sorts[address.sort]! : null;
  const told = useBeyond(data, q || by ? { q, sort: by?.[2] ?? "", most } : null);
  const asking = (q || by) && beyond(data) && !told; // of what the stream brings not all can be told
  const listed = told?.items ?? sorted(data.containers.filter((c) => finds(q, c)), address.sort);
  const found = q ? listed : listed.filter((c) => !silent(c.gap)); // they are told with their machine
  const folded = q ? 0 : data.nodes.reduce((n, m) => n + (silent(m.gap) ? (m.containers ?? 0) : 0), 0);
  const count = (told?.found ?? (q ? found.length : data.total)) - folded;
  const placed = order.current.place(found, live.now(), held, `${address.sort}?${q}?${told ? "all" : ""}`);
  const shown = all ? placed : placed.slice(0, first);
  const what = by ? `by ${word(by[0])}` : "what hurts first";
  const part = (shown.length < count ? `, the first ${shown.length} below` : "") + (folded ? `; ${folded} more on silent machines` : "");
  const sub = asking ? "asking the server…" : q ? `${count} of ${data.total} match “${q}”${by ? ", " + what : ""}${part}` : `${count}, ${what}${part}`;
  const sort = (k: string) => go({ sort: k === address.sort ? "" : k }, true);
  return (
    <Section id="containers" title="Containers" sub={sub}>
      {!found.length && asking ? null : !found.length ? (
        <Nothing q={address.q} live={live} data={data} />
      ) : (
        <div class="card" onMouseEnter={() => setHeld(true)} onMouseLeave={() => setHeld(false)} onFocusCapture={() => setHeld(true)} onBlurCapture={() => setHeld(false)}>
          <Table rows={shown} live={live} data={data} address={address} onSort={sort} />
        </div>
      )}
      {shown.length < placed.length && (
        <button type="button" class="more" onClick={() => setAll(true)}>
          Show {found.length < count ? "the first" : "all"} {placed.length}
        </button>
      )}
    </Section>
  );
}

/** word is a column's name within a sentence: "memory", "CPU". */
const word = (name: string) => name.replace(/,.*/, "").replace(/^[A-Z](?=[a-z])/, (c) => c.toLowerCase());

/** finds says whether a search finds a container, as the server does. */
export const finds = (q: string, c: Container) => !q || matches(q, c.title, c.namespace, c.workload, c.pod, c.name, c.runtime, c.image, c.id, c.node, c.why);

function Nothing({ q, live, data }: { q: string; live: Live; data: Overview }) {
  if (q)
    return (
      <p class="card empty">
        Nothing is called “{q}”. The search looks at names, images, runtimes, namespaces, cgroup paths and at what hurts. Esc clears it.
      </p>
    );
  if (data.autoscaler)
    return (
      <p class="card empty">
        No pods yet, {span(live.now() - seconds(data.since)!)} after the start. What runs on a node appears here once its collector sends, or its kubelet was asked; <code>kubectl plimsoll explain --missing</code> says what is missing, and why.
      </p>
    );
  return (
    <p class="card empty">
      No containers yet, {span(live.now() - seconds(data.since)!)} after the start. Docker, podman and containerd containers, systemd services and plain cgroups appear here by themselves; if they do not, <code>plimsoll doctor</code> says what cannot be read.
    </p>
  );
}

interface TableProps {
  rows: Placed<Container>[];
  live: Live;
  data: Overview;
  address: Address;
  onSort?: (k: string) => void;
  say?: (c: Container) => string; // a further word on a row
}

export function Table({ rows, live, data, address, onSort, say }: TableProps) {
  const sparks = useSparks(live, address);
  const lost = beyond(data) ? `no longer among the first ${most}` : "gone";
  return (
    <table class="rows containers">
      <thead>
        <tr>
          {Object.entries(sorts).map(([k, [name]]) => (
            <th key={k} scope="col" aria-sort={address.sort === k ? (k === "name" ? "ascending" : "descending") : undefined}>
              {onSort ? (
                <button type="button" onClick={() => onSort(k)} title={address.sort === k ? "Back to what hurts first" : `Sort by ${name}`}>
                  {name}
                  {address.sort === k ? (k === "name" ? " ↑" : " ↓") : ""}
                </button>
              ) : (
                name
              )}
            </th>
          ))}
          <th scope="col">{data.total > mostSparks ? "CPU" : `CPU, ${rangeNames[address.range]}`}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((p) => (
          <Row key={p.key} p={p} gone={p.gone ? lost : ""} node={data.nodes.find((n) => n.name === p.row.node) ?? data.node} several={data.nodes.length > 1} address={address} spark={sparks(p.key, p.row)} say={say?.(p.row)} now={live.now()} />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  p: Placed<Container>;
  gone: string; // why it has no place any more; "" while it has
  node: Node;
  several: boolean; // machines: each row names its own
  address: Address;
  spark: preact.JSX.Element;
  say?: string;
  now: number;
}

function Row({ p: { row: c }, gone, node, several, address, spark, say, now }: RowProps) {
  const facts = [
    c.runtime === "self" ? "this process" : c.runtime,
    c.image && shortImage(c.image),
    several && <Place key="node" node={c.node} known={node.name === c.node} address={address} />,
    say,
    gone || (c.why && !c.gap && (c.score > 0 ? <em class="why">{tight(c.why)}</em> : tight(c.why))),
  ].filter(Boolean);
  return (
    <tr class={gone ? "gone" : ""}>
      <td>
        <a class="name" data-row href={link(address, containerView(c))} title={c.title.length > 80 ? c.title : undefined}>
          {c.title}
        </a>
        <small>
          {facts.map((f, i) => (i ? [" · ", f] : f))}
        </small>
        {c.gap && !gone && <small class="gapword">{gapSays(c.gap, now)}</small>}
      </td>
      <Meter label="CPU" value={c.cpu} line={c.cpuLimit} whole={node.cores} text={[cores(c.cpu), c.cpuLimit === null ? "" : `of ${whole(c.cpuLimit)}`]} bare={c.cpu === null && !c.gap} />
      <Meter label="Memory" value={c.workingSet} line={c.memoryLimit} whole={node.memory} ink="b" text={memoryOf(c.workingSet, c.memoryLimit)} bare={c.workingSet === null && !c.gap} />
      <Figure label="Throttled" v={c.throttled} loud={0.05} text={share} />
      <Figure label="CPU pressure" v={c.cpuPressure} loud={0.1} text={share} />
      <Figure label="OOM kills" v={c.oomKills} loud={1} text={counted} />
      <td class="trend">{spark}</td>
    </tr>
  );
}

/** Place names the machine that something is on, and leads to it. */
export const Place = ({ node, known, address }: { node: string; known: boolean; address: Address }) => (known ? <a href={link(address, { at: "machine", node })}>{node}</a> : <>{node}</>);

/** Figure is a number that is loud when it hurts and quiet when it is nothing. */
function Figure({ label, v, loud, text }: { label: string; v: Num; loud: number; text: (v: Num) => string }) {
  const t = text(v);
  return (
    <td class={`num fig ${v ? "" : "nil"}`} data-label={label}>
      {v !== null && v >= loud ? <em>{t}</em> : v ? t : <span class="zero">{t}</span>}
    </td>
  );
}

/** shortImage drops the registry and a digest: "postgres:16". */
export function shortImage(image: string): string {
  const s = image.replace(/@sha256:.*/, "");
  return s.slice(s.lastIndexOf("/") + 1) || image;
}

const sparkPoints = 90; // of a sparkline, at most
const mostSparks = 1000; // containers whose past is read for a line each: beyond, the lines grow from now on

/** useSparks reads the CPU of all containers over the range, and draws each with its live rows. */
function useSparks(live: Live, address: Address) {
  const span = ranges[address.range]!;
  const [past, setPast] = useState({ by: step(span, sparkPoints), all: new Map<string, Frame>() });
  const { by } = past;
  const now = live.now();
  const ready = live.overview !== null && live.overview.total <= mostSparks;
  useEffect(() => {
    if (!ready) return;
    const stop = new AbortController();
    const ask = { ...containerCPU, by: ["node", "namespace", "pod", "container"] };
    const w = around(live.now() - span, live.now(), sparkPoints);
    follow((w) => read(ask, {}, w, stop.signal), (all) => all.map((s) => s.points), w, sparkPoints).then(([all, at]) => {
      const key = (l: Record<string, string>) => containerKey({ node: l.node ?? "", namespace: l.namespace ?? "", pod: l.pod ?? "", name: l.container ?? "" });
      setPast({ by: at.step, all: new Map(all.map((s) => [key(s.labels), grid([s.points], at.start, at.end, at.step)])) });
    }, () => {});
    return () => stop.abort();
  }, [address.range, ready, Math.floor(now / Math.max(60, by))]);
  const drawn = useRef({ turn: "", all: new Map<string, preact.JSX.Element>() });
  const turn = `${address.range} ${Math.floor(now / (span / 180))}`; // half a pixel is soon enough
  useEffect(() => void (drawn.current.turn = ""), [past]);
  if (drawn.current.turn !== turn) drawn.current = { turn, all: new Map() };
  const draw = (key: string, c: Container) => {
    const trail = live.trails.get(key, containerLines.length).frame;
    const f = join(past.all.get(key) ?? empty(1), thin({ t: trail.t, cols: [trail.cols[0]!] }, by), by);
    const col = f.cols[0]!;
    const top = Math.max(c.cpuLimit ?? 0, 0.1, ...col.filter((v): v is number => typeof v === "number").map((v) => v * 1.1));
    const from = Math.max(now - span, Math.min(f.t[0] ?? now, now - 60));
    return <Spark t={f.t} col={col} from={from} to={now} top={top} ink="a" line={c.cpuLimit !== null && c.cpuLimit >= top} optional />;
  };
  return (key: string, c: Container) => {
    const { all } = drawn.current;
    if (!all.has(key)) all.set(key, draw(key, c));
    return all.get(key)!;
  };
}
