import assert from "node:assert/strict";
import { test } from "node:test";
import { sorted, shortImage } from "../../src/containers.tsx";
import type { Container, Decision, Scaled } from "../../src/contract.ts";
import { head, news } from "../../src/decision.tsx";
import { lookback, step } from "../../src/history.ts";
import { containerLines, groupLines, matcher, nodeLines, scaledLines } from "../../src/lines.ts";
import { paths } from "../../src/marks.tsx";
import { csv } from "../../src/numbers.tsx";
import { matches } from "../../src/overview.tsx";
import { tightest } from "../../src/scaled.tsx";

test("steps keep a chart's points few, and never finer than the history", () => {
  assert.deepEqual([60, 900, 3600, 21600, 86400, 604800].map((s) => step(s)), [10, 10, 10, 60, 240, 1800]);
  assert.equal(step(1e12), 86400);
  assert.equal(lookback(10), 25);
  assert.equal(lookback(240), 240);
});

test("label values are quoted for PromQL", () => {
  assert.equal(matcher("pod", String.raw`system-getty\x2dtty1`), String.raw`pod="system-getty\\x2dtty1"`);
  assert.equal(matcher("pod", 'a"b'), String.raw`pod="a\"b"`);
});

test("every line asks for something with its matchers and window", () => {
  for (const l of [...containerLines, ...nodeLines, ...groupLines, ...scaledLines(["cpu", "rps"])]) {
    const q = l.expr('a="b"', "30s");
    assert.match(q, /a="b"/, l.key);
    assert.match(q, /\[30s\]/, l.key);
  }
  assert.match(scaledLines(["cpu", "rps"])[4]!.expr("x", "30s"), /metric="rps"/);
  assert.doesNotMatch(scaledLines(["cpu"])[2]!.expr("x", "30s"), /metric=/);
  assert.doesNotMatch(nodeLines[5]!.expr("", "30s"), /\{,/);
});

test("rows are sorted by what hurts, or by a column; what is not known goes last", () => {
  const rows = [
    { title: "b", hurt: 0, cpu: null },
    { title: "a10", hurt: 0, cpu: 0.1 },
    { title: "a9", hurt: 0.5, cpu: 0.2 },
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

test("a change is the news for a minute, then the hold is", () => {
  const d = (time: string, from: number, to: number) => ({ time, from, to, message: "" }) as Decision;
  const s = { change: d("1970-01-01T00:00:10Z", 2, 4), last: d("1970-01-01T00:01:00Z", 4, 4) } as Scaled;
  assert.equal(head(news(s, 60)!), "2 → 4");
  assert.equal(head(news(s, 71)!), "4, held");
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
