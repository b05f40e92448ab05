// A container's page.
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { View } from "./address.ts";
import { home, link, type Address } from "./address.ts";
import { beyond as isBeyond, useBeyond } from "./beyond.ts";
import { Charts } from "./charts.tsx";
import { Place } from "./containers.tsx";
import type { Container } from "./contract.ts";
import { containerLines } from "./lines.ts";
import { containerKey } from "./live.ts";
import type { ViewProps } from "./page.tsx";
import { usePicture } from "./picture.ts";
import { workloadView } from "./scaled.tsx";
import { absent, ago, count, gapSays, seconds, tight } from "./units.ts";
import { containerCharts } from "./views.ts";
import { Crumbs, Zoom } from "./crumbs.tsx";

type Props = ViewProps & { view: Extract<View, { at: "container" }> };

const keys = containerLines.map((l) => l.key);
const unknown = { cpuLimit: null, cpuRequest: null, memoryLimit: null } as Container;

export function ContainerPage({ live, data, address, go, view: v }: Props) {
  const key = containerKey(v);
  const here = data.containers.find((x) => containerKey(x) === key);
  const beyond = useBeyond(data, here ? null : { q: [v.pod, v.name, v.namespace, v.node].join(" "), sort: "", most: 10000 });
  const c = here ?? beyond?.items.find((x) => containerKey(x) === key) ?? null;
  useEffect(() => {
    if (beyond && c) live.trails.push(key, seconds(beyond.time)!, containerLines.map((l) => l.now(c)));
  }, [beyond]);
  const elsewhere = !here && isBeyond(data);
  const sel = { namespace: v.namespace, pod: v.pod, container: v.name, ...(v.node && { node: v.node }) };
  const since = c || elsewhere ? seconds(data.since)! : 0; // of what is not there no first value is awaited
  const picture = usePicture({ lines: containerLines, sel, trail: live.trails.get(key, containerLines.length), address, live });
  const title = c?.title ?? [v.namespace, v.pod || v.name].filter(Boolean).join("/");
  return (
    <>
      <Crumbs address={address} several={data.nodes.length > 1} namespace={v.namespace} middle={c?.workload && c.workloadKind !== "Unit" ? { text: c.workload, view: workloadView({ namespace: c.namespace, kind: c.workloadKind, name: c.workload }) } : null} name={v.pod || v.name} />
      <div class="head">
        <h1 title={title}>{title}</h1>
        <p>{c ? <Facts c={c} now={live.now()} /> : elsewhere && !beyond ? "Looking for it…" : `${absent("Not running now", data)} ${picture.frame.t.length ? "Below is what is known of it." : ""}`}</p>
      </div>
      {c?.why && !c.gap && (
        <p class={c.score > 0 ? "note hurt" : "note"}>
          <b>{c.score > 0 ? "It hurts" : "To know"}:</b> {tight(c.why)}.
        </p>
      )}
      {c?.gap && (
        <p class="note">
          {gapSays(c.gap, live.now())}. {picture.frame.t.length > 0 && "The gap is hatched in the charts."}
        </p>
      )}
      <Zoom address={address} go={go} />
      <Charts picture={picture} keys={keys} charts={containerCharts(c ?? unknown)} marks={[]} gap={c?.gap ?? null} since={since} now={live.now()} onZoom={(from, to) => go({ from, to })}>
        {c && <Identity c={c} known={data.nodes.some((n) => n.name === c.node)} address={address} />}
      </Charts>
      <p class="under">
        <a href={link(address, home.view)}>Back to the overview</a>
      </p>
    </>
  );
}

function Facts({ c, now }: { c: Container; now: number }) {
  const started = seconds(c.started);
  const facts = [
    c.runtime === "self" ? "this process" : c.runtime,
    c.image,
    started !== null && `started ${ago(started, now)}`,
    c.processes !== null && `${count(c.processes)} ${c.processes === 1 ? "process" : "processes"}`,
    !!c.restarts && `${count(c.restarts)} ${c.restarts === 1 ? "restart" : "restarts"}`,
    c.oomKills === 0 && "no OOM kills",
  ].filter(Boolean);
  return (
    <>
      {facts.join(" · ")}
      {!!c.oomKills && (
        <em>
          {" · "}
          {count(c.oomKills)} {c.oomKills === 1 ? "OOM kill" : "OOM kills"}
        </em>
      )}
    </>
  );
}

function Identity({ c, known, address }: { c: Container; known: boolean; address: Address }) {
  const rows = [
    ["Machine", <Place node={c.node} known={known} address={address} />],
    ["Namespace", c.namespace],
    ["Pod", c.pod],
    ["Container", c.name],
    ["Image", c.image],
    ["Cgroup", c.id],
  ].filter(([, v]) => v) as [string, ComponentChildren][];
  return (
    <section aria-labelledby="identity">
      <h2 id="identity">What it is</h2>
      <dl class="identity">
        {rows.map(([k, v]) => (
          <div key={k}>
            <dt>{k}</dt>
            <dd>{v}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
