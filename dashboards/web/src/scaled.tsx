// What is being scaled, and why: load against its line, the replicas, the decision in words.
import { link, type Address } from "./address.ts";
import type { Load, Scaled as Row } from "./contract.ts";
import { news, Say } from "./decision.tsx";
import example from "./example.yaml";
import { counted } from "./lines.ts";
import { workloadKey } from "./live.ts";
import { Bar, Dots, Head, scaledAt, Section } from "./marks.tsx";
import { matches } from "./overview.tsx";
import type { ViewProps } from "./page.tsx";
import { ago, gapSays, seconds, share } from "./units.ts";

export const workloadView = (w: { namespace: string; kind: string; name: string }) => ({ at: "workload" as const, namespace: w.namespace, kind: w.kind, name: w.name });
export const workloadTitle = (w: { namespace: string; name: string }) => (w.namespace ? w.namespace + "/" : "") + w.name;

/** tightest is the metric nearest to its line, or above it: the one that asks for most. */
export function tightest(s: Row): Load | null {
  const closeness = (m: Load) => (m.load !== null && m.target ? m.load / m.target : -1);
  return s.metrics.reduce<Load | null>((a, b) => (a && closeness(a) >= closeness(b) ? a : b), null);
}

/** lineOf names a metric and its target, as the policy gives it: a share, or an amount. */
export const lineOf = (m: Load) => `${m.name} line at ${m.amount || share(m.target)}`;

/** allowed says between which counts a target is kept, as far as they are known, and of which schedule these are. */
export function allowed(s: Row): string {
  const since = s.schedule ? ` since ${s.schedule}` : "";
  if (s.max === null) return s.min === null ? "" : `at least ${s.min} allowed${since}`;
  return `${s.min === null ? "at most" : `${s.min} to`} ${s.max} allowed${since}`;
}

export function Scaled({ live, data, address }: ViewProps) {
  const rows = data.scaled.filter((s) => !address.q || matches(address.q, s.namespace, s.kind, s.name, ...(s.by ?? []).map((d) => d.name)));
  if (address.q && !rows.length) return null;
  const moving = rows.filter((s) => counted(s) && s.desired !== s.ready).length;
  const sub = `${rows.length} ${rows.length === 1 ? "target" : "targets"}${moving ? `, ${moving} changing` : ""}`;
  return (
    <Section id="scaled" title="Scaled" sub={rows.length ? sub : ""}>
      {rows.length ? <Table rows={rows} address={address} now={live.now()} /> : <HowToScale autoscaler={data.autoscaler} several={data.nodes.length > 1} />}
    </Section>
  );
}

function Table({ rows, address, now }: { rows: Row[]; address: Address; now: number }) {
  return (
    <div class="card">
      <table class="rows scaled">
        <Head columns={["Target", "Load, and its line", "Replicas", "Decision", <span class="unseen">When</span>]} />
        <tbody>
          {rows.map((s) => (
            <ScaledRow key={workloadKey(s)} s={s} address={address} now={now} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ScaledRow({ s, address, now }: { s: Row; address: Address; now: number }) {
  const m = tightest(s);
  const d = news(s, now);
  const over = m?.load != null && m.target != null && m.load > m.target;
  const mode = s.state ? ` · ${s.state}` : "";
  return (
    <tr>
      <td>
        <a class="name" data-row href={link(address, workloadView(s))}>
          {workloadTitle(s)}
        </a>
        <small>
          {s.kind.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase()}
          {m && ` · ${lineOf(m)}`}
          {mode}
          {s.schedule && ` · ${allowed(s)}`}
        </small>
      </td>
      <td class="w">
        <Bar value={m?.load ?? null} line={m?.target ?? null} whole={1} at={scaledAt} hot={over} />
        <span class="num">
          {share(m?.load ?? null)}
          {m?.load != null && m.noise != null && <small class="in"> ±{share(m.noise)}</small>}
          {over && <em> above</em>}
        </span>
      </td>
      <td class="w">
        <Dots s={s} />
        <span class="num">{counted(s) ? s.replicas : "–"}</span>
        {counted(s) && s.desired !== s.ready && (
          <small>
            {s.ready} ready, {s.desired} asked for
          </small>
        )}
      </td>
      <td class="say">
        {s.gap && <p class="gapword">{gapSays(s.gap, now)}.</p>}
        {d ? <Say d={d} /> : undecided(s)}
      </td>
      <td class="ago">{d && ago(seconds(d.time)!, now)}</td>
    </tr>
  );
}

/** undecided says of a target without a decision what the first waits for; "" where its gap says that. */
export const undecided = (s: Row) => (s.gap ? "" : "No decision yet: the first comes when there are two samples.");

/** policyExample is the smallest file that does something as it stands, to start from. */
export const policyExample = example.trimEnd();

/** clusterExample is the policy in it, for a Deployment. */
export const clusterExample = policyExample.split("---\n")[1]!.replace("kind: ProcessService", "apiVersion: apps/v1, kind: Deployment");

/** modeSays tells that what a cluster declares is not carried out; "" where it is. */
export const modeSays = (autoscaler: string | undefined) =>
  autoscaler === "dry-run" ? "The autoscaler is in dry run: it shows what it would do and changes nothing." : autoscaler === "off" ? "The autoscaler is off: nothing that is declared is read." : "";

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** scalable says whether a workload can be given a policy: a process service, unless it is another Plimsoll's, whose name has a slash. */
export const scalable = (w: { namespace: string; kind: string; name: string }) => w.kind === "ProcessService" && label.test(w.namespace) && label.test(w.name);

/** policyFor is the policy in it, for a process service that there is. */
export const policyFor = ({ namespace, name }: { namespace: string; name: string }) => policyExample.split("---\n")[1]!.replaceAll("name: web", "name: " + name).replaceAll("namespace: shop", "namespace: " + namespace);

function HowToScale({ autoscaler, several }: { autoscaler: string | undefined; several: boolean }) {
  const example = (
    <pre tabIndex={0} aria-label="An example of a policy">
      {autoscaler ? clusterExample : policyExample}
    </pre>
  );
  const mode = modeSays(autoscaler);
  return (
    <div class="card empty">
      {mode && (
        <p>
          <b>{mode}</b> The chart’s value <code>autoscaler.mode</code>, or <code>--autoscaler</code> of the server, says so.
        </p>
      )}
      {autoscaler ? (
        <p>
          Nothing is scaled here yet. What can be is a Deployment, a StatefulSet or whatever else has a scale: declare a ScalePolicy in its namespace, as below. A Deployment or StatefulSet needs none with the annotations <code>plimsoll.dev/max: "20"</code> and <code>plimsoll.dev/cpu: "70"</code>, in percent of what is requested. An HPA with <code>plimsoll.dev/boost: "true"</code> stays in charge and is only raised sooner.
        </p>
      ) : (
        <p>
          Nothing is scaled here yet. What can be is a process service: a command that Plimsoll runs as replicas. {several ? "Each machine scales its own: there, write" : "Write"} it into a file with its policy and start <code>plimsoll run --policies policies.yaml</code>, or see it work first with <code>plimsoll run --demo</code>.
        </p>
      )}
      {several && !autoscaler ? (
        <details>
          <summary>An example of a policy</summary>
          {example}
        </details>
      ) : (
        example
      )}
    </div>
  );
}
