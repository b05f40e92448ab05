// What is on a machine: what of it is asked for, how the cluster says that it is, and the pods with their use.
import { useRef, useState } from "preact/hooks";
import { format, home, link, type Address } from "./address.ts";
import type { Asked, Machine, NodeCondition, Num, Pod } from "./contract.ts";
import { Head, Meter, Section } from "./marks.tsx";
import { Order, type Placed } from "./order.ts";
import { workloadTitle, workloadView } from "./scaled.tsx";
import { cores, gapSays, many, memory, memoryOf, none, seconds, silent, size, sold, span, whole } from "./units.ts";

interface Props {
  m: Machine;
  cluster: boolean; // machines are a cluster's nodes
  address: Address;
  now: number;
}

/** inPod says whether what stands for a pod is one: of a cluster all that the API server tells of. */
export const inPod = (p: Pod) => !p.namespace.endsWith("@node");

export function Contents({ m, cluster, address, now }: Props) {
  const pods = m.pods.filter((p) => cluster && inPod(p));
  const others = m.pods.filter((p) => !pods.includes(p));
  return (
    <>
      {(cluster || m.cpuRoom.requests !== null || m.memoryRoom.requests !== null) && <Room m={m} pods={cluster ? pods.length : null} />}
      {cluster && <Conditions list={m.conditions} now={now} />}
      {cluster && <Pods id="pods" title="Pods" empty="No pod is on it." rows={pods} m={m} address={address} now={now} />}
      {others.length > 0 && <Pods id="others" title={cluster ? "Beside pods" : "On it"} empty="" rows={others} m={m} address={address} now={now} />}
    </>
  );
}

/** Room shows what of a machine is asked for, against what pods may have of it. */
function Room({ m, pods }: { m: Machine; pods: number | null }) {
  const rows: [string, Asked, Num, Num, "a" | "b", (v: Num) => string][] = [
    ["CPU", m.cpuRoom, m.cpu, m.cores, "a", (v) => (v === null ? none : sold(v))],
    ["Memory", m.memoryRoom, m.workingSet, m.memory, "b", size],
  ];
  return (
    <Section id="room" title="Requests" sub="of what pods may have">
      <div class="card">
        <table class="rows room">
          <Head columns={["Resource", "Requested", "Used now", "Left to request"]} />
          <tbody>
            {rows.map(([name, room, used, all, ink, text]) => {
              const give = room.allocatable ?? all;
              const asked = room.requests ?? (m.gap ? null : 0);
              return (
                <tr key={name}>
                  <td>{name}</td>
                  <Meter label="Requested" value={asked} line={give} whole={give} ink={ink} text={[text(asked), give === null ? "" : `of ${text(give)}`]} />
                  <Meter label="Used now" value={used} line={null} whole={give} ink={ink} text={[name === "CPU" ? sold(used === null ? null : Math.round(used * 100) / 100) : memory(used), ""]} />
                  <td data-label="Left">{left(asked, give, text)}</td>
                </tr>
              );
            })}
            {pods !== null && (
              <tr>
                <td>Pods</td>
                <Meter label="There are" value={pods} line={m.maxPods} whole={m.maxPods} ink="a" text={[String(pods), m.maxPods === null ? "" : `of ${m.maxPods}`]} bare={m.maxPods === null} />
                <td />
                <td data-label="Left">{left(pods, m.maxPods, (v) => whole(v))}</td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
    </Section>
  );
}

/** left says what is not asked for yet; where more is asked for than there is, by how much. */
export function left(asked: Num, give: Num, text: (v: Num) => string) {
  if (asked === null || give === null) return none;
  return asked > give ? <em>{text(asked - give)} too much</em> : text(give - asked);
}

/** ill says whether a condition is one to look at. */
export const ill = (c: NodeCondition) => c.status !== (c.type === "Ready" ? "True" : "False");

function Conditions({ list, now }: { list: NodeCondition[]; now: number }) {
  const bad = list.filter(ill).length;
  return (
    <Section id="node-conditions" title="Conditions" sub={!list.length ? "" : bad ? `${bad} to look at` : "all well"}>
      {list.length ? (
        <div class="card">
          <table class="rows node-conditions">
            <Head columns={["Condition", "Is", "For", "Because"]} />
            <tbody>
              {list.map((c) => (
                <tr key={c.type}>
                  <td>{c.type}</td>
                  <td data-label="Is">{ill(c) ? <em>{c.status}</em> : c.status}</td>
                  <td data-label="For">{seconds(c.since) === null ? none : span(now - seconds(c.since)!)}</td>
                  <td class="say">{c.message || c.reason}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <p class="card empty">The cluster says nothing of it.</p>
      )}
    </Section>
  );
}

const first = 50; // rows until all are asked for
const podKey = (p: Pod) => [p.namespace, p.workloadKind, p.workload, p.name].join("\u0000");

interface PodsProps {
  id: string;
  title: string;
  empty: string;
  rows: Pod[];
  m: Machine;
  address: Address;
  now: number;
}

function Pods({ id, title, empty, rows, m, address, now }: PodsProps) {
  const order = useRef(new Order<Pod>(podKey));
  const [held, setHeld] = useState(false);
  const [all, setAll] = useState(false);
  const placed = order.current.place([...rows].sort((a, b) => (b.cpu ?? -1) - (a.cpu ?? -1)), now, held, "");
  const shown = all ? placed : placed.slice(0, first);
  return (
    <Section id={id} title={title} sub={rows.length ? `${rows.length}, most CPU first` : ""}>
      {rows.length ? (
        <div class="card" onMouseEnter={() => setHeld(true)} onMouseLeave={() => setHeld(false)} onFocusCapture={() => setHeld(true)} onBlurCapture={() => setHeld(false)}>
          <table class="rows pods">
            <Head columns={["Name", "Status", "CPU, cores", "Memory"]} />
            <tbody>
              {shown.map((p) => (
                <Row key={p.key} p={p} m={m} address={address} now={now} />
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <p class="card empty">{empty}</p>
      )}
      {shown.length < placed.length && (
        <button type="button" class="more" onClick={() => setAll(true)}>
          Show all {placed.length}
        </button>
      )}
    </Section>
  );
}

/** podLink leads to a pod's container, or where it has several to the list of them. */
export const podLink = (a: Address, node: string, p: Pod) =>
  p.containers.length === 1 ? link(a, { at: "container", node, namespace: p.namespace, pod: p.name, name: p.containers[0]! }) : format({ ...home, range: a.range, q: [p.namespace, p.name].filter(Boolean).join(" ") });

function Row({ p: { row: p, gone }, m, address, now }: { p: Placed<Pod>; m: Machine; address: Address; now: number }) {
  const since = seconds(p.since);
  const owner = p.workload && p.workload !== p.name && p.workloadKind !== "Node" ? p : null;
  const lacks = (what: string) => (p.partial?.includes(what) ? p.parts : undefined);
  return (
    <tr class={gone ? "gone" : ""}>
      <td>
        <a class="name" data-row href={podLink(address, m.name, p)}>
          {p.title}
        </a>
        <small>
          {owner && (
            <>
              {owner.workloadKind}{" "}
              <a href={link(address, workloadView({ namespace: p.namespace, kind: p.workloadKind, name: p.workload }))} aria-label={`${owner.workloadKind} ${workloadTitle({ namespace: p.namespace, name: p.workload })}`}>
                {p.workload}
              </a>
            </>
          )}
          {[p.containers.length !== 1 && many(p.containers.length, "container"), p.source && `read from the ${p.source}`].filter(Boolean).map((s, i) => (owner || i ? " · " : "") + s)}
        </small>
        {p.gap && !silent(p.gap) && !gone && <small class="gapword">{gapSays(p.gap, now)}</small>}
      </td>
      <td data-label="Status">
        {gone ? "gone" : p.state || none}
        {since !== null && <small class="in"> {span(now - since)}</small>}
        {!!p.restarts && <small>{many(p.restarts, "restart")}</small>}
      </td>
      <Meter label="CPU" value={p.cpu} line={null} whole={m.cores} text={[cores(p.cpu), asks(p.cpuRequest, whole)]} parts={lacks("cpu")} />
      <Meter label="Memory" value={p.workingSet} line={null} whole={m.memory} ink="b" text={ofRequest(p)} parts={lacks("workingSet")} />
    </tr>
  );
}

/** asks says what is asked for; nothing where nothing is. */
const asks = (v: Num, text: (v: Num) => string) => (v ? `of ${text(v)} requested` : "");

/** ofRequest says memory and what is asked for in one unit: "50 of 64 MiB requested". */
export function ofRequest(p: Pick<Pod, "workingSet" | "memoryRequest">): [string, string] {
  if (p.workingSet === null || !p.memoryRequest) return [memory(p.workingSet), asks(p.memoryRequest, size)];
  const [figure, of] = memoryOf(p.workingSet, p.memoryRequest);
  return [figure, of + " requested"];
}
