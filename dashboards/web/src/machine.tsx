// A machine's page, or that of all machines together.
import type { View } from "./address.ts";
import { Charts } from "./charts.tsx";
import { Crumbs, Zoom } from "./crumbs.tsx";
import { nodeLines } from "./lines.ts";
import { nodeKey } from "./live.ts";
import { partsSay } from "./marks.tsx";
import { Contents } from "./contents.tsx";
import type { ViewProps } from "./page.tsx";
import { usePicture } from "./picture.ts";
import { nodeLabels } from "./tiles.tsx";
import { disk, gapSays, hidden, many, memory, seconds, sold } from "./units.ts";
import { machineCharts } from "./views.ts";

type Props = ViewProps & { view: Extract<View, { at: "machine" }> };

const keys = nodeLines.map((l) => l.key);

export function MachinePage(p: Props) {
  const { gap } = p.data.node;
  if (!gap || !hidden(gap)) return <Known {...p} />;
  return (
    <>
      <Crumbs address={p.address} several={false} name={p.view.node || "all machines"} />
      <div class="head">
        <h1>{p.view.node || "All machines"}</h1>
        <p>{gapSays(gap, p.live.now())}.</p>
      </div>
    </>
  );
}

/** Known is the page where machines may be seen. */
function Known({ live, data, address, go, view }: Props) {
  const n = view.node ? data.nodes.find((x) => x.name === view.node) : data.node;
  const since = seconds(data.since)!;
  const picture = usePicture({ lines: nodeLines, sel: nodeLabels(view.node), trail: live.trails.get(nodeKey(view.node), nodeLines.length), address, live });
  const facts = n && [n.status, n.pool && `pool ${n.pool}`, n.cores !== null && sold(n.cores), n.memory !== null && memory(n.memory), n.diskFree !== null && `${disk(n.diskFree)} free${n.diskDevice ? ` on ${n.diskDevice}` : ""}`, n.load1 !== null && `load ${n.load1.toFixed(2)}`, n.containers !== null && many(n.containers, "container")];
  const machine = live.machine?.name === view.node ? live.machine : null;
  return (
    <>
      <Crumbs address={address} several={data.nodes.length > 1} name={view.node || "all machines"} />
      <div class="head">
        <h1>{view.node || "All machines"}</h1>
        <p>{facts ? facts.filter(Boolean).join(" · ") : "Nothing is heard of it now."}</p>
        {n?.parts && <small class="lacks">sums of {partsSay(n.parts)}</small>}
      </div>
      {n?.gap && (
        <p class="note">
          {gapSays(n.gap, live.now())}.
        </p>
      )}
      <Zoom address={address} go={go} />
      <Charts picture={picture} keys={keys} charts={machineCharts(n ?? data.node)} marks={[]} gap={n?.gap ?? null} since={since} now={live.now()} onZoom={(from, to) => go({ from, to })} />
      {view.node && live.unread && <p class="note">What is on it could not be read: {live.unread.replace(/\.$/, "")}.</p>}
      {machine && <Contents m={machine} cluster={data.autoscaler !== undefined} address={address} now={live.now()} />}
    </>
  );
}
