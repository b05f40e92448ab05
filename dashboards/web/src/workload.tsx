// A workload's page: if it is scaled, the load, the line, the replicas and every decision.
import { useState } from "preact/hooks";
import type { View } from "./address.ts";
import { Charts, type NamedMark } from "./charts.tsx";
import { Table, sorted } from "./containers.tsx";
import type { Decision, Replica, Scaled } from "./contract.ts";
import { Crumbs, Zoom } from "./crumbs.tsx";
import { head, Log } from "./decision.tsx";
import { groupLines, matcher, scaledLines } from "./lines.ts";
import { containerKey, workloadKey } from "./live.ts";
import { Dots, Section } from "./marks.tsx";
import type { ViewProps } from "./page.tsx";
import { usePicture } from "./picture.ts";
import { policyExample, workloadTitle } from "./scaled.tsx";
import { ago, cores, memory, none, seconds, share, span } from "./units.ts";
import { groupCharts, loadChart, replicasChart } from "./views.ts";

type Props = ViewProps & { view: Extract<View, { at: "workload" }> };

export function WorkloadPage({ live, data, address, go, view: v }: Props) {
  const [point, setPoint] = useState<number | null>(null);
  const key = workloadKey(v);
  const known = live.workload && workloadKey(live.workload) === key ? live.workload : null;
  const s = data.scaled.find((x) => workloadKey(x) === key) ?? known?.scaled ?? null;
  const group = live.group(v, s);
  const containers = known?.containers ?? group.containers;
  const lines = [...groupLines, ...(s ? scaledLines(s.metrics.map((m) => m.name)) : [])];
  const sel = [matcher("namespace", v.namespace), matcher("workload", v.name), matcher("workload_kind", v.kind)].join(",");
  const since = seconds(data.since)!;
  const now = live.now();
  const picture = usePicture({ lines, sel, trail: live.trails.get(key, lines.length), address, now, since });
  const decisions = known?.decisions ?? [s?.last, s?.change].filter((d): d is Decision => !!d);
  const charts = [...(s ? [...s.metrics.map((m) => loadChart(m.name, m.of, m.target, s.metrics.length === 1)), replicasChart] : []), ...groupCharts()];
  return (
    <>
      <Crumbs address={address} namespace={v.namespace} name={v.name} />
      <div class="head">
        <h1>{workloadTitle(v)}</h1>
        {s && <Dots s={s} />}
        <p>{s ? <ScaledFacts s={s} /> : `${v.kind}, ${containers.length} ${containers.length === 1 ? "container" : "containers"}, not scaled`}</p>
      </div>
      {s?.gap && (
        <p class="note">
          <b>No sample</b> for {span(now - seconds(s.gap.since)!)}: {s.gap.detail || s.gap.reason}. Nothing is scaled on missing data.
        </p>
      )}
      {s?.last && s.last.from === s.last.to && (
        <p class="note last">
          <b>{head(s.last)}</b> {s.last.message} <span>{ago(seconds(s.last.time)!, now)}</span>
        </p>
      )}
      <Zoom address={address} go={go} />
      <Charts picture={picture} keys={lines.map((l) => l.key)} charts={charts.slice(0, s ? s.metrics.length + 1 : 0)} marks={marks(decisions)} since={since} now={now} point={point} onZoom={(from, to) => go({ from, to })} />
      {s && <Decisions decisions={decisions} now={now} onPoint={setPoint} />}
      {s && <Members s={s} now={now} />}
      <Charts picture={picture} keys={lines.map((l) => l.key)} charts={charts.slice(s ? s.metrics.length + 1 : 0)} marks={marks(decisions)} since={since} now={now} point={point} onZoom={(from, to) => go({ from, to })} />
      <Section id="containers" title="Containers" sub={String(containers.length)}>
        {containers.length ? (
          <div class="card">
            <Table rows={sorted(containers, "name").map((row) => ({ key: containerKey(row), row, gone: false }))} live={live} data={data} address={{ ...address, sort: "" }} />
          </div>
        ) : (
          <p class="card empty">None of its containers is there now.</p>
        )}
      </Section>
      <Policy s={s} />
    </>
  );
}

const marks = (all: Decision[]): NamedMark[] => all.filter((d) => d.from !== d.to).map((d) => ({ t: seconds(d.time)!, up: d.to > d.from, text: `${head(d)} ${d.message}` }));

function ScaledFacts({ s }: { s: Scaled }) {
  const starting = s.wished - s.ready;
  const lines = s.metrics.map((m) => `${m.name} line at ${share(m.target)}${m.of ? ` of ${m.of}` : ""}`);
  const mode = s.mode === "DryRun" ? "dry run: it decides and changes nothing" : s.mode === "Paused" ? "paused" : "";
  return <>{[`${s.ready} ready${starting > 0 ? `, ${starting} starting` : starting < 0 ? `, ${-starting} leaving` : ""}`, `${s.min} to ${s.max} allowed`, ...lines, mode].filter(Boolean).join(" · ")}</>;
}

function Decisions({ decisions, now, onPoint }: { decisions: Decision[]; now: number; onPoint: (t: number | null) => void }) {
  const [all, setAll] = useState(false);
  const changes = decisions.filter((d) => d.from !== d.to);
  const shown = all ? changes : changes.slice(0, 8);
  return (
    <Section id="decisions" title="Decisions" sub={changes.length ? "that changed the count, newest first" : ""}>
      {changes.length ? <Log decisions={shown} now={now} onPoint={onPoint} /> : <p class="card empty">No change in the last 24 hours. A change appears here with its reason as soon as the load leaves its line.</p>}
      {shown.length < changes.length && (
        <button type="button" class="more" onClick={() => setAll(true)}>
          Show all {changes.length}
        </button>
      )}
    </Section>
  );
}

function Members({ s, now }: { s: Scaled; now: number }) {
  if (!s.members.length) return null;
  return (
    <Section id="members" title="Replicas" sub={`${s.members.length}`}>
      <div class="card">
        <table class="rows members">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">State</th>
              <th scope="col">CPU</th>
              <th scope="col">Memory</th>
              <th scope="col">Restarts</th>
            </tr>
          </thead>
          <tbody>
            {s.members.map((m) => (
              <Member key={m.name} m={m} now={now} />
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}

function Member({ m, now }: { m: Replica; now: number }) {
  const since = seconds(m.since);
  const bad = m.state === "dead" || m.state === "backing-off";
  return (
    <tr>
      <td>{m.name}</td>
      <td data-label="State">
        {bad ? <em>{m.state}</em> : m.state} {since !== null && <small class="in">{span(now - since)}</small>}
        {m.detail && <small>{m.detail}</small>}
      </td>
      <td data-label="CPU">{m.cpu === null ? none : cores(m.cpu) + " cores"}</td>
      <td data-label="Memory">{memory(m.memory)}</td>
      <td data-label="Restarts">{m.restarts ? <em>{m.restarts}</em> : <span class="zero">0</span>}</td>
    </tr>
  );
}

function Policy({ s }: { s: Scaled | null }) {
  if (s && !s.policy) return null;
  return (
    <details class="policy">
      <summary>{s ? "Policy" : "How to scale it"}</summary>
      <pre tabIndex={0} aria-label="Policy">{s?.policy || policyExample}</pre>
    </details>
  );
}
