import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { Points } from "../../src/frame.ts";
import { around, closer, fill, follow, ratio, readLines, whole, type When } from "../../src/history.ts";
import { containerLines, groupLines, scaledLines, type Ask } from "../../src/lines.ts";

const real = globalThis.fetch;
afterEach(() => void (globalThis.fetch = real));

const at = { start: 100, end: 130, step: 10 };
const line = (...asks: Ask[]) => [{ key: "x", now: () => null, asks }];
const find = (all: { key: string; asks: Ask[] }[], key: string) => line(...all.find((l) => l.key === key)!.asks);
const go = (lines: { key: string; now: () => null; asks: Ask[] }[], w = at, sel = {}) => readLines(lines, sel, w, new AbortController().signal);

/** store answers as the server would, and lists what it was asked. */
function store(answer: (p: URLSearchParams) => Points | undefined): URLSearchParams[] {
  const asked: URLSearchParams[] = [];
  globalThis.fetch = (async (url: string) => {
    const [path, query] = url.split("?");
    assert.equal(path, "plimsoll/v1/series");
    const p = new URLSearchParams(query);
    asked.push(p);
    const points = answer(p);
    return new Response(JSON.stringify({ schema: "plimsoll.dev/series/v1", series: points ? [{ labels: {}, points }] : [] }));
  }) as typeof fetch;
  return asked;
}

const full: Points = [[100, 1], [110, 1], [120, 1], [130, 1]];

test("a line is one structured query", async () => {
  const asked = store(() => full);
  assert.deepEqual(await go(find(containerLines, "cpu"), at, { namespace: "docker", pod: String.raw`system-getty\x2dtty1"&` }), [full]);
  assert.deepEqual(asked.map((p) => Object.fromEntries(p)), [
    { namespace: "docker", pod: String.raw`system-getty\x2dtty1"&`, metric: "container_cpu_usage_seconds_total", start: "100", end: "130", step: "10", window: "30", func: "rate", by: "" },
  ]);
});

test("a gauge is what it was, and over wider steps its maximum, mean or last", async () => {
  const asked = store(() => full);
  const all = [...find(containerLines, "memory"), ...find(groupLines, "memory"), ...find(scaledLines(["a", "b"]), "load:b")];
  await go(all);
  await go(all, { start: 0, end: 600, step: 60 });
  assert.deepEqual(asked.map((p) => [p.get("func"), p.get("window"), p.get("sub")].join()), ["last,20,", "last,20,", "last,20,b", "max,60,", "last,60,", "avg,60,b"]);
});

test("a hole in a rate is looked into once more, from further back", async () => {
  let asked = store((p) => (p.get("window") === "45" ? [[100, 9], [110, 9], [120, 9]] : [[100, 1], [120, 1]]));
  assert.deepEqual(await go(find(containerLines, "cpu")), [[[100, 1], [110, 9], [120, 1]]]);
  assert.equal(asked.length, 2);
  asked = store(() => [[0, 1], [120, 1]]);
  await go(find(containerLines, "cpu"), { start: 0, end: 600, step: 60 });
  assert.equal(asked.length, 1, "a wide step looks far enough");
});

test("where a container has no network of its own its pod's is asked for", async () => {
  const asked = store((p) => (p.get("metric")!.startsWith("pod_") ? full : undefined));
  assert.deepEqual(await go(find(containerLines, "netReceive")), [full]);
  assert.deepEqual(asked.map((p) => p.get("metric")), ["container_network_receive_bytes_total", "pod_network_receive_bytes_total"]);
  store(() => []);
  assert.deepEqual(await go(find(containerLines, "netReceive")), [[]]);
});

test("throttled is a share of periods; none of none is nothing", async () => {
  const asked = store((p) => (p.get("metric")!.includes("throttled") ? [[100, 2], [110, 0], [120, 1]] : [[100, 4], [110, 0], [130, 1]]));
  assert.deepEqual(await go(find(containerLines, "throttled")), [[[100, 0.5], [110, 0]]]);
  assert.equal(asked.length, 4, "both once more for the hole");
  assert.deepEqual(ratio([[1, 0], [2, 3]], [[1, 0], [2, 0]]), [], "a gap unless it is said, and never infinite");
});

test("the error of the server is told", async () => {
  globalThis.fetch = (async () => new Response(JSON.stringify({ schema: "plimsoll.dev/error/v1", status: 404, error: "there is no history" }), { status: 404 })) as typeof fetch;
  await assert.rejects(go(find(containerLines, "cpu")), /^Error: there is no history$/);
  globalThis.fetch = (async () => new Response("bad gateway", { status: 502 })) as typeof fetch;
  await assert.rejects(go(find(containerLines, "cpu")), /history answered 502/);
});

test("where there is little of a long time, its points are closer", async () => {
  const end = 1_700_000_000;
  const f = (begin: number, span: number) => {
    const asked: number[] = [];
    const ask = async (w: When): Promise<Points[]> => {
      asked.push(w.step);
      const t = Array.from({ length: (w.end - w.start) / w.step + 1 }, (_, i) => w.start + i * w.step).filter((t) => t >= begin);
      return [[], t.map((t): [number, number] => [t, 1])];
    };
    return follow(ask, (p) => p, around(end - span, end)).then(([p, w]) => ({ n: p[1]!.length, step: w.step, asked }));
  };
  const forty = await f(end - 2400, 7 * 86400);
  assert.ok(forty.n >= 100 && forty.n <= 360 && forty.asked.length === 2, JSON.stringify(forty));
  const ages = await f(end - 2400, end - 1); // since 1970
  assert.ok(ages.n >= 100 && ages.n <= 360 && ages.asked.length <= 5, JSON.stringify(ages));
  assert.deepEqual((await f(0, 7 * 86400)).asked, [1800], "the whole time is asked for once");
  assert.deepEqual((await f(Infinity, 7 * 86400)).asked, [1800], "and nothing is nothing");
  assert.deepEqual((await f(end - 60, 900)).asked, [10]);
  assert.equal(closer([[]], around(0, 900)), null);
});

test("the most and the least are asked for only where points are far apart", async () => {
  const asked = store(() => full);
  const lines = ["most", "least", "mean"].flatMap((k) => find(scaledLines(["cpu"]), k));
  assert.deepEqual(await go(lines), [[], [], []]);
  await go(lines, { start: 0, end: 600, step: 60 });
  assert.deepEqual(asked.map((p) => [p.get("metric"), p.get("func")].join()), ["workload_replicas_desired,max", "workload_replicas_desired,min", "workload_replicas_ready,avg"]);
});

test("holes are between points and at the end, not before the first", () => {
  assert.ok(whole(full, at));
  assert.ok(whole([[120, 1]], at));
  assert.ok(!whole([[100, 1], [110, 1]], at));
  assert.ok(!whole([[100, 1], [120, 1], [130, 1]], at));
  assert.deepEqual(fill([[2, 1]], [[1, 5], [2, 5]]), [[1, 5], [2, 1]]);
});
