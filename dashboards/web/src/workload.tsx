// A workload's page: if it is scaled, the load, the line, the replicas and every decision.
import { useState } from "preact/hooks";
import type { View } from "./address.ts";
import { Charts, type ChartSpec, type NamedMark } from "./charts.tsx";
import { Table, sorted } from "./containers.tsx";
import type { Container, Decision, Gap, Member, Scaled } from "./contract.ts";
import { Crumbs, Zoom } from "./crumbs.tsx";
import { head, Log, Say } from "./decision.tsx";
import { exact } from "./frame.ts";
import { counted, groupLines, scaledLines } from "./lines.ts";
import { containerKey, workloadKey } from "./live.ts";
import { Dots, partsSay, Section } from "./marks.tsx";
import type { ViewProps } from "./page.tsx";
import { usePicture } from "./picture.ts";
import { useChanges, type Changes } from "./log.ts";
import { allowed, lineOf, policyFor, scalable, workloadTitle } from "./scaled.tsx";
import { absent, ago, gapSays, many, seconds, span } from "./units.ts";
import { groupCharts, loadChart, replicasBand, replicasChart } from "./views.ts";

type Props = ViewProps & { view: Extract<View, { at: "workload" }> };

export function WorkloadPage({ live, data, address, go, view: v }: Props) {
  const cursor = useState<number | null>(null);
  const key = workloadKey(v);
  const known = live.workload && workloadKey(live.workload) === key ? live.workload : null;
  const s = data.scaled.find((x) => workloadKey(x) === key) ?? known?.scaled ?? null;
  const group = live.group(v, s);
  const containers = (known?.containers ?? group.containers).filter((c) => !ended(c, s));
  const lines = [...groupLines, ...(s ? scaledLines(s.metrics.map((m) => m.name)) : [])];
  const sel = { namespace: v.namespace, workload: v.name, workload_kind: v.kind };
  const since = live.unknown ? 0 : seconds(data.since)!; // of what is not there no first value is awaited
  const now = live.now();
  const picture = usePicture({ lines, sel, trail: live.trails.get(key, lines.length), address, live });
  const keys = lines.map((l) => l.key);
  const changes = useChanges(live, v, address);
  const dense = changes.more || changes.list.length > mostDrawn;
  const coarse = dense && picture.frame.cols[keys.indexOf("most")]?.some((x) => typeof x === "number");
  const moments = changes.list.map((d): [number, number] => [seconds(d.time)!, d.to]).reverse();
  const told = dense ? picture : { ...picture, frame: exact(picture.frame, keys.indexOf("desired"), moments) };
  const own = s ? [...s.metrics.map((m) => loadChart(m, s.metrics.length === 1)), (coarse ? replicasBand : replicasChart)(s.min, s.max)] : [];
  const unscaled = s?.gap?.reason === "scale" || s?.gap?.reason === "policy"; // which is no reason for its containers to have no values
  const drawn = (charts: ChartSpec[], gap: Gap | null) => <Charts picture={told} keys={keys} charts={charts} marks={changes.more ? [] : marks(changes.list)} gap={gap} since={since} now={now} cursor={cursor} onZoom={(from, to) => go({ from, to })} />;
  return (
    <>
      <Crumbs address={address} several={data.nodes.length > 1} namespace={v.namespace} name={v.name} />
      <div class="head">
        <h1>{workloadTitle(v)}</h1>
        {s && <Dots s={s} />}
        <p>{s ? <ScaledFacts s={s} /> : live.unknown ? absent("There is no such workload now", data) : known || containers.length ? `${v.kind}, ${many(containers.length, "container")}, not scaled` : unread(live.unread)}</p>
        {known?.parts && <small class="lacks">sums of {partsSay(known.parts)}</small>}
      </div>
      {live.unread && (s || known || containers.length > 0) && <p class="note">What is told of it alone is not of now. {unread(live.unread)}</p>}
      {s?.gap && (
        <p class="note">
          {gapSays(s.gap, now)}. {unscaled ? "" : "Nothing is scaled on missing data."}
        </p>
      )}
      {!s?.gap && known?.gap && (
        <p class="note">
          {gapSays(known.gap, now)}. {known.partial?.length ? "The sums of now lack that part." : ""}
        </p>
      )}
      {s?.last && s.last.from === s.last.to && (
        <p class="note last">
          <Say d={s.last} /> <small>{ago(seconds(s.last.time)!, now)}</small>
        </p>
      )}
      <Zoom address={address} go={go} />
      {drawn(own, s?.gap ?? null)}
      {(s || changes.list.length > 0) && <Decisions changes={changes} s={s} now={now} onPoint={cursor[1]} />}
      {(containers.length > 0 || known || (s && !live.unknown)) && <Section id="containers" title={s ? "Replicas" : "Containers"} sub={s && !counted(s) ? "" : String(s ? s.replicas : containers.length)}>
        {s && <Absent s={s} present={new Set(containers.map((c) => c.pod))} now={now} />}
        {containers.length ? (
          <div class="card">
            <Table rows={sorted(containers, "name").map((row) => ({ key: containerKey(row), row, gone: false }))} live={live} data={data} address={{ ...address, sort: "" }} say={(c) => inState(s?.members.find((m) => m.name === c.pod), now)} />
          </div>
        ) : (
          <p class="card empty">{known ? "None of its containers is there now." : unread(live.unread)}</p>
        )}
      </Section>}
      {drawn(groupCharts(known?.parts), (unscaled ? known?.gap : s?.gap) ?? null)}
      {(s || known) && !live.unknown && <Policy s={s} v={v} />}
    </>
  );
}

/** unread says why there is nothing to tell of what is open: it could not be read, or the answer is still to come. */
export const unread = (why: string) => (why ? `It could not be read: ${why.replace(/\.$/, "")}.` : "Reading it…");

const mostDrawn = 150; // changes of the count that a chart draws at their moments: more of them are a black block

const marks = (all: Decision[]): NamedMark[] => all.map((d) => ({ t: seconds(d.time)!, up: d.to > d.from, text: `${head(d)} ${d.message}` }));

function ScaledFacts({ s }: { s: Scaled }) {
  const starting = s.desired - s.ready;
  const lines = s.metrics.map((m) => `${lineOf(m)}${m.of && !m.amount ? ` of ${m.of}` : ""}`);
  const mode = s.state === "dry run" ? "dry run: it decides and changes nothing" : s.state;
  const counts = counted(s) ? `${s.ready} ready${starting > 0 ? `, ${starting} starting` : starting < 0 ? `, ${-starting} leaving` : ""}` : "";
  return <>{[counts, allowed(s), ...lines, mode].filter(Boolean).join(" · ")}</>;
}

interface DecisionsProps {
  changes: Changes; // of the window that is looked at
  s: Scaled | null;
  now: number;
  onPoint: (t: number | null) => void;
}

function Decisions({ changes: { list: changes, more, error, loading }, s, now, onPoint }: DecisionsProps) {
  const [all, setAll] = useState(false);
  const shown = all ? changes : changes.slice(0, 5);
  const sub = more ? `more than ${changes.length} in this time, newest first; a shorter time has them all, and marks them in the charts` : `${changes.length} in this time, newest first`;
  return (
    <Section id="decisions" title="Decisions" sub={changes.length ? sub : ""}>
      {error && <p class="note">The decisions cannot be read: {error}</p>}
      {loading && !changes.length ? (
        <p class="card empty">Reading the decisions…</p>
      ) : error && !changes.length ? null : changes.length ? (
        <Log decisions={shown} now={now} onPoint={onPoint} />
      ) : (
        <p class="card empty">
          No change of the count in this time. {still(s, now)}
        </p>
      )}
      {shown.length < changes.length && (
        <button type="button" class="more" onClick={() => setAll(true)}>
          Show {more ? "the newest" : "all"} {changes.length}
        </button>
      )}
    </Section>
  );
}

/** still says what a change of the count waits for, and which was the last. */
export function still(s: Scaled | null, now: number): string {
  const last = s?.change ? `The last was ${head(s.change)}, ${ago(seconds(s.change.time)!, now)}: ${s.change.message}` : "";
  const held = s ? holds(s) : "";
  return [held, last].filter(Boolean).join(" ") || "A change appears here with its reason as soon as the load leaves its line.";
}

/** holds says why the count is left alone whatever the load is; "" where it is not. */
function holds(s: Scaled): string {
  if (s.gap?.reason === "scale") return "There is none while the target’s scale cannot be used.";
  if (s.gap?.reason === "policy") return "There is none while its policy is not in force.";
  if (s.mode === "DryRun") return "There is none in dry run: what would be done is said above.";
  if (s.mode === "Paused") return "There is none while the policy is paused: what would be done is said above.";
  if (s.last?.reason === "ScalingDisabled") return "There is none while the count is 0, which somebody else set: raise it by hand to turn scaling on.";
  if (s.gap) return "There is none while its load cannot be told.";
  return "";
}

/** Absent lists the replicas that have no container to show: starting, dead, waiting to be started again. */
function Absent({ s, present, now }: { s: Scaled; present: Set<string>; now: number }) {
  const away = s.members.filter((m) => !present.has(m.name));
  if (!away.length) return null;
  return (
    <ul class="absent">
      {away.map((m) => (
        <li key={m.name}>
          <b>{m.name}</b> {inState(m, now)}
        </li>
      ))}
    </ul>
  );
}

/** ended says whether a container is what remains of a replica that was taken away: silent, and no longer counted. */
export const ended = (c: Container, s: Scaled | null) => !!s?.members.length && !!c.gap && !s.members.some((m) => m.name === c.pod);

function inState(m: Member | undefined, now: number): string {
  if (!m) return "";
  const since = seconds(m.since);
  const restarts = m.restarts ? `, ${m.restarts} ${m.restarts === 1 ? "restart" : "restarts"}` : "";
  return `${m.state}${since === null ? "" : ` for ${span(now - since)}`}${restarts}${m.detail ? `: ${m.detail}` : ""}`;
}

/** Policy shows what it is scaled by; of what could be scaled and is not, how. */
function Policy({ s, v }: { s: Scaled | null; v: Props["view"] }) {
  const text = s ? s.policy : scalable(v) ? policyFor(v) : "";
  if (!text) return null;
  return (
    <details class="policy">
      <summary>{s ? "Policy" : "How to scale it"}</summary>
      <pre tabIndex={0} aria-label="Policy">{text}</pre>
    </details>
  );
}
