import assert from "node:assert/strict";
import { test } from "node:test";
import { at, between, exact, grid, holes, join, spans, thin, ticks, trim, type Frame } from "../../src/frame.ts";
import { Trail } from "../../src/trail.ts";

const frame = (t: number[], ...cols: Frame["cols"]): Frame => ({ t, cols });
const none = frame([], []);

test("a moment of the history without a point is a gap, not a zero", () => {
  const f = grid([[[0, 1], [10, 2], [30, 4]]], 0, 50, 10);
  assert.deepEqual(f, frame([0, 10, 20, 30], [1, 2, null, 4]));
  assert.deepEqual(holes(f), [[10, 30]]);
});

test("the stretches in which a sum lacks a part end where it is whole again, or not known", () => {
  assert.deepEqual(spans([0, 10, 20, 30, 40, 50, 60], [null, 1, undefined, 0, null, 2, 2]), [[10, 30], [50, 60]]);
  assert.deepEqual(spans([0, 10], []), []);
});

test("points off the grid find their moment; NaN and what lies outside do not count", () => {
  assert.deepEqual(grid([[[0.2, 1], [10, NaN], [19.9, 3], [99, 9]]], 0, 20, 10), frame([0, 10, 20], [1, null, 3]));
  assert.deepEqual(grid([[]], 0, 20, 10), frame([], []));
  assert.deepEqual(grid([[[5, 1]]], 10, 0, 10), frame([], []));
});

test("lines that end at different times keep their own gaps", () => {
  const f = grid([[[0, 1], [10, 1]], [[10, 2], [20, 2]]], 0, 20, 10);
  assert.deepEqual(f.cols, [[1, 1, null], [null, 2, 2]]);
  assert.deepEqual(holes(f), []); // one line always has a value
});

test("live rows follow the history without a gap, though its newest point is still to come", () => {
  const past = frame([0, 10, 20, 30], [1, 1, 1, null]);
  const live = frame([35, 36, 37], [2, 2, 2]);
  assert.deepEqual(join(past, live, 10), frame([0, 10, 20, 30, 35, 36, 37], [1, 1, 1, undefined, 2, 2, 2]));
});

test("live rows stand in for the history where they are", () => {
  const past = frame([0, 10, 20, 30, 40], [1, 1, 1, 1, 1]);
  const live = frame([18, 19, 20, 21, 22], [2, 2, 2, 2, 2]);
  assert.deepEqual(join(past, live, 10).t, [0, 10, 18, 19, 20, 21, 22]);
});

test("the history fills a hole in the live rows", () => {
  const past = frame([0, 10, 20, 30, 40], [1, 1, 1, 1, 1]);
  const live = frame([0, 1, 2, 40, 41], [2, 2, 2, 2, 2]);
  assert.deepEqual(join(past, live, 10).t, [0, 1, 2, 10, 20, 30, 40, 41]);
});

test("a hole that nothing fills is a gap", () => {
  const f = join(none, frame([0, 1, 2, 40, 41], [2, 2, 2, 3, 3]), 10);
  assert.deepEqual(f, frame([0, 1, 2, 21, 40, 41], [2, 2, 2, null, 3, 3]));
  assert.deepEqual(holes(f), [[2, 40]]);
});

test("an empty history, or no live rows, leave the other as it is", () => {
  const f = frame([0, 10], [1, 2]);
  assert.deepEqual(join(f, none, 10), f);
  assert.deepEqual(join(none, f, 10), f);
  assert.deepEqual(join(none, none, 10), none);
});

test("a value that stays the same reaches the newest row; a gap does not", () => {
  assert.deepEqual(join(none, frame([0, 1, 2], [5, undefined, undefined]), 10).cols[0], [5, undefined, 5]);
  assert.deepEqual(join(none, frame([0, 1, 2], [5, null, undefined]), 10).cols[0], [5, null, undefined]);
});

test("a gap at the end is hatched up to the newest row", () => {
  assert.deepEqual(holes(frame([0, 10, 20, 30], [1, 1, null, null])), [[10, 30]]);
  assert.deepEqual(holes(frame([0, 10, 20], [null, 1, 1])), []);
});

test("thinning averages, and a bucket of gaps stays a gap", () => {
  const f = thin(frame([0, 1, 2, 10, 11, 20, 21], [1, 2, 3, null, undefined, 4, undefined]), 10);
  assert.deepEqual(f, frame([2, 11, 21], [2, null, 4]));
});

test("windows and trimming", () => {
  const f = frame([0, 10, 20, 30], [null, 1, 2, null]);
  assert.deepEqual(trim(f), frame([10, 20], [1, 2]));
  assert.deepEqual(between(f, 5, 25), frame([10, 20], [1, 2]));
  assert.deepEqual(between(f, 50, 60), frame([], []));
});

test("the cursor reads the last value before it, but not across a gap", () => {
  assert.equal(at([1, undefined, undefined], 2), 1);
  assert.equal(at([1, null, undefined], 2), null);
  assert.equal(at([], 0), null);
});

test("scales have round numbers", () => {
  assert.deepEqual(ticks(1.4), [0.5, 1]);
  assert.deepEqual(ticks(100), [50]);
  assert.deepEqual(ticks(140 * 2 ** 20, 3, true).map((v) => v / 2 ** 20), [64, 128]);
  assert.deepEqual(ticks(0), []);
  assert.deepEqual(ticks(NaN), []);
});

test("a trail gives a value that does not change a point only every ten seconds", () => {
  const t = new Trail(2);
  for (let i = 0; i <= 21; i++) t.push(i, [i, i < 5 ? 7 : 8]);
  const own = t.frame.t.filter((_, i) => t.frame.cols[1]![i] !== undefined);
  assert.deepEqual(own, [0, 5, 15]);
  assert.equal(t.frame.cols[0]!.length, 22);
  t.push(21, [9, 9]); // the same moment again
  t.push(22, [null, null]);
  assert.equal(t.frame.t.length, 23);
  assert.deepEqual(t.frame.cols.map((c) => c[22]), [null, null]);
});

test("a trail forgets what is older than it keeps", () => {
  const t = new Trail(1, 60);
  for (let i = 0; i < 1000; i++) t.push(i, [i]);
  assert.ok(t.frame.t.length <= 92, String(t.frame.t.length));
  assert.equal(t.frame.t.length, t.frame.cols[0]!.length);
});

test("a change is drawn at its moment, not at the next point", () => {
  const f = frame([0, 10, 20, 30, 40], [2, 2, 2, 4, 4], [1, 1, 1, 1, 1]);
  const got = exact(f, 0, [[12, 4], [35, 6]]);
  assert.deepEqual(got.t, [0, 10, 12, 20, 30, 35, 40]);
  assert.deepEqual(got.cols[0], [2, 2, 4, 4, 4, 6, 6]);
  assert.deepEqual(got.cols[1], [1, 1, undefined, 1, 1, undefined, 1]);
  assert.deepEqual(exact(f, 0, []), f);
  assert.deepEqual(exact(f, -1, [[12, 4]]), f); // no such line: it is no longer scaled
  assert.deepEqual(exact(f, 0, [[-5, 3], [99, 9]]).cols[0], [3, 3, 3, 3, 3]); // before and after the window
  assert.deepEqual(exact(none, 0, [[1, 1]]), none);
});

test("a change within a gap does not close it", () => {
  const got = exact(frame([0, 10, 20, 30], [2, null, null, 4]), 0, [[15, 4]]);
  assert.deepEqual(got, frame([0, 10, 20, 30], [2, null, null, 4]));
});
