import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ask } from "../../src/beyond.ts";
import { fold, type ChartSpec } from "../../src/charts.tsx";
import { sorted, shortImage } from "../../src/containers.tsx";
import type { Container, Decision, Load, Scaled } from "../../src/contract.ts";
import { head, news } from "../../src/decision.tsx";
import { lookback, step } from "../../src/history.ts";
import { containerLines, groupLines, nodeLines, scaledLines } from "../../src/lines.ts";
import { within } from "../../src/log.ts";
import { paths } from "../../src/marks.tsx";
import { csv } from "../../src/numbers.tsx";
import { matches } from "../../src/overview.tsx";
import { begin } from "../../src/picture.ts";
import { allowed, clusterExample, lineOf, modeSays, policyExample, policyFor, scalable, tightest, undecided } from "../../src/scaled.tsx";
import { containerCharts, loadChart, replicasChart } from "../../src/views.ts";
import { ended, still } from "../../src/workload.tsx";

declare const ROOT: string;

test("steps keep a chart's points few, and never finer than the history", () => {
  assert.deepEqual([60, 900, 3600, 21600, 86400, 604800].map((s) => step(s)), [10, 10, 10, 60, 240, 1800]);
  assert.equal(step(57 * 365 * 86400), 58 * 86400, "since 1970");
  assert.ok((253402300799 - 1) / step(253402300799) <= 360, "to the end of the year 9999");
  assert.deepEqual([lookback(10, "rate"), lookback(10, "last"), lookback(20, "rate"), lookback(240, "rate")], [30, 20, 30, 240]);
});

test("every line asks for a metric of the catalogue, joined into one line", () => {
  const rows = readFileSync(ROOT + "internal/metric/rows.go", "utf8");
  for (const l of [...containerLines, ...nodeLines, ...groupLines, ...scaledLines(["cpu", "rps"])]) {
    assert.ok(l.asks.length, l.key);
    for (const a of l.asks)
      for (const m of [a.metric, a.over ?? a.metric]) assert.ok(rows.includes(`"${m.replace(/^(node|pod)_/, "container_").replace("workload_missing", "pod_missing")}"`), m);
  }
  const sub = (metrics: string[], key: string) => scaledLines(metrics).find((l) => l.key === key)!.asks[0]!.sub;
  assert.equal(sub(["cpu", "rps"], "load:rps"), "rps");
  assert.equal(sub(["cpu"], "load:cpu"), undefined);
});

test("rows are sorted by what hurts, or by a column; what is not known goes last", () => {
  const rows = [
    { title: "b", score: 0, cpu: null },
    { title: "a10", score: 0, cpu: 0.1 },
    { title: "a9", score: 0.5, cpu: 0.2 },
  ] as Container[];
  const names = (s: string) => sorted(rows, s).map((c) => c.title).join(" ");
  assert.equal(names(""), "a9 b a10"); // equals stay in the server's order
  assert.equal(names("cpu"), "a9 a10 b");
  assert.equal(names("name"), "a9 a10 b");
  assert.equal(names("constructor"), "a9 a10 b");
});

test("images are shortened to what tells them apart", () => {
  assert.equal(shortImage("postgres:16"), "postgres:16");
  assert.equal(shortImage("registry.example.com:5000/team/app:1@sha256:00ff"), "app:1");
});

test("a search wants all its words", () => {
  assert.ok(matches("WEB demo", "demo/web-3", "process"));
  assert.ok(!matches("web shop", "demo/web-3"));
});

test("a search over more containers than the stream brings is the server's, in as many bytes as it takes", () => {
  assert.equal(ask({ q: "", sort: "memory", most: 500 }), "plimsoll/v1/containers?limit=500&sort=memory");
  assert.equal(ask({ q: "a b&c", sort: "", most: 9 }), "plimsoll/v1/containers?limit=9&q=a+b%26c");
  const q = new URLSearchParams(ask({ q: "é".repeat(70_000), sort: "", most: 9 }).split("?")[1]).get("q")!;
  assert.equal(q, "é".repeat(100));
  assert.equal(new URLSearchParams(ask({ q: "日".repeat(99), sort: "", most: 9 }).split("?")[1]).get("q"), "日".repeat(66));
});

test("the changes of a window are those of the log and those told since, each once", () => {
  const d = (s: number, from = 1, to = 2) => ({ time: new Date(s * 1000).toISOString(), from, to }) as Decision;
  const times = within([d(50), d(40), d(10)], [d(50), d(60), d(70, 3, 3), d(99)], 20, 80).map((x) => Date.parse(x.time) / 1000);
  assert.deepEqual(times, [60, 50, 40]);
});

test("a window begins where its data do, when they would be a stroke at its end", () => {
  const f = { t: [930, 950, 1000], cols: [] };
  assert.deepEqual(begin([0, 1000], f), [930, 1000]);
  assert.deepEqual(begin([500, 1000], f), [500, 1000]);
  assert.deepEqual(begin([0, 1000], { t: [], cols: [] }), [0, 1000]);
  assert.deepEqual(begin([2000, 3000], f), [2000, 3000]);
});

test("captions are true whatever the value", () => {
  const captions = (c: object) => containerCharts({ cpuLimit: null, cpuRequest: null, memoryLimit: null, ...c } as Container).slice(0, 2).map((x) => [x.sub, ...(x.limits ?? []).map((l) => l.label.replaceAll("\u00a0", " "))].join("; "));
  assert.deepEqual(captions({}), ["used; there is no limit", "working set; there is no limit"]);
  assert.deepEqual(captions({ cpuLimit: 1, cpuRequest: 0.5, memoryLimit: 2 ** 20 }), ["used, and its limit; request 0.5 cores; limit 1 core", "working set, and its limit; limit 1 MiB"]);
});

test("a policy to copy names what it is about", () => {
  assert.match(policyExample, /^kind: ProcessService\nmetadata: \{name: web, namespace: shop\}\nspec:\n  command: /m);
  const can = (namespace: string, kind: string, name: string) => scalable({ namespace, kind, name });
  assert.deepEqual([can("shop", "ProcessService", "web"), can("docker", "Docker", "web"), can("system", "Unit", "ssh.service"), can("plimsoll-7", "ProcessService", "demo/web")], [true, false, false, false]);
  assert.match(policyFor({ namespace: "n", name: "x" }), /metadata: \{name: x, namespace: n\}\nspec:\n  scaleTargetRef: \{kind: ProcessService, name: x\}/);
});

test("in a cluster a ScalePolicy of a Deployment is the example, and the autoscaler's mode is told", () => {
  assert.match(clusterExample, /^apiVersion: plimsoll.dev\/v1alpha1\nkind: ScalePolicy\nmetadata: \{name: web, namespace: shop\}\nspec:\n  scaleTargetRef: \{apiVersion: apps\/v1, kind: Deployment, name: web\}\n/);
  assert.doesNotMatch(clusterExample, /ProcessService/);
  assert.deepEqual(["on", undefined].map(modeSays), ["", ""]);
  assert.match(modeSays("dry-run"), /changes nothing/);
  assert.match(modeSays("off"), /is off/);
});

test("a line is told as its policy gives it, a share or an amount", () => {
  const m = (amount: string, target: number) => ({ name: "cpu", target, amount, of: "100m CPU" }) as Load;
  const label = (l: Load) => loadChart(l, true).limits![0]!.label.replaceAll("\u00a0", " ");
  assert.deepEqual([m("100m", 1), m("", 0.7)].map((l) => lineOf(l).replaceAll("\u00a0", " ")), ["cpu line at 100m", "cpu line at 70 %"]);
  assert.deepEqual([m("100m", 1), m("", 1)].map(label), ["line 100m", "line 100 %"]);
});

test("no change is promised where none can come", () => {
  const s = (more: object) => still({ mode: "Auto", gap: null, last: null, change: null, ...more } as Scaled, 100);
  const gap = (reason: string) => ({ since: "", reason, detail: "" });
  assert.match(s({}), /as soon as the load leaves its line/);
  assert.match(s({ mode: "DryRun" }), /^There is none in dry run/);
  assert.match(s({ mode: "Paused" }), /paused/);
  assert.match(s({ mode: "DryRun", gap: gap("scale") }), /scale cannot be used/);
  assert.match(s({ gap: gap("target") }), /cannot be told/);
  assert.match(s({ last: { reason: "ScalingDisabled" } }), /count is 0/);
  const change = { time: "1970-01-01T00:00:10Z", from: 2, to: 4, message: "It rose." };
  assert.match(s({ change }), /^The last was 2 → 4, .*: It rose\.$/);
  assert.match(s({ change, mode: "Paused" }), /^There is none .* The last was 2 → 4/);
});

test("replicas that nobody has counted are a gap, not none", () => {
  const lines = scaledLines([]);
  const f = (more: object) => lines.map((l) => l.now({ containers: [], sums: null, scaled: { updated: "2026-01-01T00:00:00Z", gap: null, desired: 4, ready: 0, metrics: [] as unknown, ...more } as Scaled }));
  assert.deepEqual(f({}), [4, 0, 4, 4, 0]);
  const none = [null, null, null, null, null];
  assert.deepEqual(f({ updated: null }), none, "before the first look since the start");
  for (const reason of ["scale", "policy"]) assert.deepEqual(f({ gap: { since: "", reason, detail: "" } }), none, reason);
  assert.deepEqual(f({ gap: { since: "", reason: "target", detail: "" } }), [4, 0, 4, 4, 0], "its load cannot be told, its count can");
});

test("a first decision is promised only where one will come", () => {
  const f = (gap: object | null) => undecided({ gap } as Scaled);
  assert.match(f(null), /^No decision yet: /);
  for (const reason of ["policy", "target"]) assert.equal(f({ since: "", reason, detail: "" }), "", reason);
});

test("a change is the news for a minute, then the hold is", () => {
  const d = (time: string, from: number, to: number) => ({ time, from, to, message: "" }) as Decision;
  const s = { change: d("1970-01-01T00:00:10Z", 2, 4), last: d("1970-01-01T00:01:00Z", 4, 4) } as Scaled;
  assert.equal(head(news(s, 60)!), "2 → 4");
  assert.equal(head(news(s, 71)!), "4, held");
  assert.equal(head({ ...news(s, 71)!, reason: "FailedGetScale" }), "count not known, held");
  assert.equal(news({ change: null, last: null } as Scaled, 0), null);
});

test("the metric nearest to its line, or furthest above it, is shown", () => {
  const m = (name: string, load: number | null, target: number) => ({ name, load, target });
  assert.equal(tightest({ metrics: [m("a", 0.5, 1), m("b", null, 1), m("c", 0.4, 0.5)] } as Scaled)?.name, "c");
  assert.equal(tightest({ metrics: [] as unknown } as Scaled), null);
});

test("a sparkline is broken at a gap", () => {
  const [stroke, fill] = paths([0, 1, 2, 3, 4], [1, 1, null, 1, 1], 0, 4, 2);
  assert.equal(stroke.split("M").length - 1, 2);
  assert.equal(fill.split("Z").length - 1, 2);
  assert.equal(paths([0, 1], [null, undefined], 0, 1, 1)[0], "");
});

test("copied numbers are CSV in base units, a gap an empty cell", () => {
  assert.equal(csv({ t: [0, 1], cols: [[0.5, null], [1, 2]] }, ["used", 'a,"b"']), 'time,used,"a,""b"""\n1970-01-01T00:00:00.000Z,0.5,1\n1970-01-01T00:00:01.000Z,,2\n');
});

test("charts without a value fold into one line, once there was time for one", () => {
  const charts = ["cpu", "disk"].map((key) => ({ id: key, title: key, sub: "", strokes: [{ key, label: key, ink: "a" }], unit: String })) as ChartSpec[];
  const f = (disk: number | null, how: object = {}) => {
    const picture = { frame: { t: [11], cols: [[1], [disk]] }, from: 0, to: 60, step: 10, error: "", loading: false };
    return fold({ picture: { ...picture, ...how }, keys: ["cpu", "disk"], charts, gap: null, since: 0, now: 1000, ...how })[1].map((c) => c.id);
  };
  assert.deepEqual(f(null), ["disk"]);
  assert.deepEqual(f(0), []);
  assert.deepEqual(f(null, { loading: true }), []);
  assert.deepEqual(f(null, { now: 60 }), [], "still collecting");
  assert.deepEqual(f(null, { now: 160, since: 100 }), ["disk"], "a time before the start");
  assert.deepEqual(f(null, { now: 160, since: 100, to: 160 }), ["disk"], "what is known from before the start has no such value");
  assert.deepEqual(f(null, { now: 160, since: 20, to: 160, frame: { t: [30], cols: [[1], [null]] } }), ["disk"]);
  assert.deepEqual(f(null, { gap: { since: "", reason: "stale", detail: "" } }), [], "the chart says why");
  assert.deepEqual(f(null, { frame: { t: [], cols: [[], []] } }), ["cpu", "disk"], "nothing at all: one line says so");
});

test("what remains of a replica that was taken away is not a replica", () => {
  const gap = { since: "", reason: "stale", detail: "" };
  const s = { members: [{ name: "web-1" }] } as Scaled;
  const f = (pod: string, g: object | null, of: Scaled | null = s) => ended({ pod, gap: g } as Container, of);
  assert.ok(f("web-2", gap));
  assert.ok(!f("web-2", null), "it still speaks");
  assert.ok(!f("web-1", gap), "it is counted");
  assert.ok(!f("web-2", gap, null));
  assert.ok(!f("web-2", gap, { members: [] as unknown } as Scaled), "who is counted is not known");
});

test("limits say of which schedule they are", () => {
  const s = { min: 6, max: 20 } as Scaled;
  assert.deepEqual([allowed({ ...s, max: null }), allowed({ ...s, min: null }), allowed({ ...s, min: null, max: null })], ["at least 6 allowed", "at most 20 allowed", ""]);
  assert.deepEqual([replicasChart(1, null).limits, replicasChart(null, 5).limits.map((l) => l.label)], [[], ["at most 5"]]);
  assert.deepEqual([allowed(s), allowed({ ...s, schedule: "0 8 * * 1-5 UTC" })], ["6 to 20 allowed", "6 to 20 allowed since 0 8 * * 1-5 UTC"]);
});
