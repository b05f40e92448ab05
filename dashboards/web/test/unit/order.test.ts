import assert from "node:assert/strict";
import { test } from "node:test";
import { Order } from "../../src/order.ts";

const order = () => new Order<string>((s) => s);
const keys = (o: Order<string>, rows: string, now: number, held = false, by = "") => o.place([...rows], now, held, by).map((p) => (p.gone ? p.key + "!" : p.key)).join("");

test("the order follows the wish at most every ten seconds", () => {
  const o = order();
  assert.equal(keys(o, "abc", 0), "abc");
  assert.equal(keys(o, "cba", 1), "abc");
  assert.equal(keys(o, "cba", 9.9), "abc");
  assert.equal(keys(o, "cba", 10), "cba");
  assert.equal(keys(o, "abc", 19), "cba");
});

test("and not under the pointer, however long it stays", () => {
  const o = order();
  keys(o, "abc", 0);
  assert.equal(keys(o, "cba", 60, true), "abc");
  assert.equal(keys(o, "cba", 61, false), "cba");
});

test("another wish is followed at once", () => {
  const o = order();
  keys(o, "abc", 0, true);
  assert.equal(keys(o, "cba", 1, true, "name"), "cba");
});

test("what is new goes last, what is gone goes away", () => {
  const o = order();
  keys(o, "abc", 0);
  assert.equal(keys(o, "xac", 1), "acx");
  assert.equal(keys(o, "xac", 11), "xac");
});

test("under the pointer what is gone keeps its place", () => {
  const o = order();
  keys(o, "abc", 0);
  assert.equal(keys(o, "xac", 1, true), "ab!cx");
  assert.equal(keys(o, "xac", 2, true), "ab!cx");
  assert.equal(keys(o, "xabc", 3, true), "abcx");
  assert.equal(keys(o, "xac", 4), "acx");
});
