// The live picture as the page has it: the newest overview, the trails behind it, and whether it is still fresh.
import { Asking } from "./asking.ts";
import type { Container, Decision, Machine, Overview, Scaled, Workload } from "./contract.ts";
import { containerLines, groupLines, nodeLines, scaledLines, type Group } from "./lines.ts";
import { Stream, type State } from "./stream.ts";
import { Trails } from "./trail.ts";
import { seconds } from "./units.ts";

/** Name names a workload. */
export type Name = Pick<Workload, "namespace" | "kind" | "name">;
const names = (w: Name) => [w.namespace, w.kind, w.name];

/** most is how many containers the stream is asked for; the search asks the server for what lies beyond. */
export const most = 500;

export const containerKey = (c: Pick<Container, "node" | "namespace" | "pod" | "name">) => ["c", c.node, c.namespace, c.pod, c.name].join("\u0000");
export const workloadKey = (w: Name) => ["w", ...names(w)].join("\u0000");
/** decidedKey is that of a workload's decisions, whose kind is not called with its API group. */
export const decidedKey = (w: Name) => workloadKey({ ...w, kind: w.kind.split(".")[0]! });
export const nodeKey = (name: string) => "n\u0000" + name;

const mostTold = 1000;

export class Live {
  overview: Overview | null = null;
  told: Decision[] = []; // the changes of that workload since its page was opened, oldest first
  state: State = "connecting";
  away = 0; // since when the server is away, in Unix seconds of this browser
  epoch = 0; // grows each time the server comes back: what was missed is to be read
  updated = false; // the server has another version than the page came from
  readonly trails = new Trails();
  private offset = 0; // server's clock minus ours, in seconds
  private subs = new Set<() => void>();
  private watched: Name | null = null;
  private stream = new Stream({
    url: () => `plimsoll/v1/stream?limit=${most}`,
    events: ["overview", "decision"],
    onEvent: (name, data) => this.event(name, data),
    onState: (s) => this.turn(s),
  });

  start() {
    this.stream.open();
    document.addEventListener("visibilitychange", () => this.seen());
  }

  private hidden = 0;
  /** A page that nobody sees costs nothing: after a minute out of sight it lets go of the server. */
  private seen() {
    clearTimeout(this.hidden);
    if (document.visibilityState === "hidden") this.hidden = window.setTimeout(() => this.stream.close(), 60_000);
    else if (Date.now() / 1000 + this.offset - this.now() > 5) this.stream.open();
  }

  subscribe(f: () => void): () => void {
    this.subs.add(f);
    return () => this.subs.delete(f);
  }

  /** now is the server's time in Unix seconds, as of the newest picture: all that is drawn of one picture agrees. */
  now(): number {
    return seconds(this.overview?.time) ?? Date.now() / 1000;
  }

  private readonly workloads = new Asking<Workload>(() => this.state === "live", () => this.tell());
  private readonly machines = new Asking<Machine>(() => this.state === "live", () => this.tell());

  /** workload is that of the page that is open, and machine too; unknown: the server has no such workload. */
  get workload(): Workload | null {
    return this.workloads.value;
  }
  get unknown(): boolean {
    return this.workloads.unknown;
  }
  /** unread is why the newest answer about what is open could not be read; "": it could. */
  get unread(): string {
    return this.workloads.unread || this.machines.unread;
  }
  get machine(): Machine | null {
    return this.machines.value;
  }

  /**
   * watch reads one workload or one machine too, at once and every few seconds; null ends that. A browser opens few streams to one
   * server, so a page has one, and what changes slowly is asked for.
   */
  watch(w: Name | null, node = "") {
    this.machines.watch(node ? "nodes/" + encodeURIComponent(node) : null);
    if (this.workloads.watch(w && "workloads/" + names(w).map(encodeURIComponent).join("/") + "?limit=1")) this.told = [];
    this.watched = w;
  }

  private event(name: string, data: unknown) {
    if (name === "overview") this.picture(data as Overview);
    if (name === "decision") this.decided(data as Decision);
    this.tell();
  }

  private decided(d: Decision) {
    const w = this.watched;
    if (w && workloadKey(d) === decidedKey(w) && d.from !== d.to) this.told = [...this.told, d].slice(-mostTold);
  }

  private picture(o: Overview) {
    if (this.overview && this.overview.version !== o.version) this.updated = true;
    this.overview = o;
    const t = seconds(o.time)!;
    this.offset = t - Date.now() / 1000;
    this.trails.push(nodeKey(""), t, nodeLines.map((l) => l.now(o.node)));
    for (const n of o.nodes) this.trails.push(nodeKey(n.name), t, nodeLines.map((l) => l.now(n)));
    for (const c of o.containers) this.trails.push(containerKey(c), t, containerLines.map((l) => l.now(c)));
    for (const s of o.scaled) this.pushGroup(t, s, s);
    const open = this.watched;
    if (open && !o.scaled.some((s) => workloadKey(s) === workloadKey(open))) this.pushGroup(t, open, null);
    this.trails.sweep(t);
  }

  private pushGroup(t: number, w: Name, s: Scaled | null) {
    const g = this.group(w, s);
    const lines = [...groupLines, ...(s ? scaledLines(s.metrics.map((m) => m.name)) : [])];
    this.trails.push(workloadKey(w), t, lines.map((l) => l.now(g)));
  }

  /** group gathers what the picture has about a workload. */
  group(w: Name, s: Scaled | null): Group {
    const containers = (this.overview?.containers ?? []).filter((c) => c.namespace === w.namespace && c.workloadKind === w.kind && c.workload === w.name);
    const sums = this.workload && workloadKey(this.workload) === workloadKey(w) ? this.workload : null;
    return { containers, scaled: s, sums };
  }

  private turn(s: State) {
    if (s === "live") this.epoch++;
    this.state = s;
    if (s === "away") this.away = this.overview ? seconds(this.overview.time)! - this.offset : Date.now() / 1000;
    this.tell();
  }

  private tell() {
    for (const f of this.subs) f();
  }
}
