import assert from "node:assert/strict";
import { test } from "node:test";
import { past, pinch, type Pair, type Window } from "../../src/touch.ts";

test("what two fingers hold stays under them", () => {
  const f = (was: Pair, is: Pair, want: Window) => assert.deepEqual(pinch([1000, 2000], was, is, 500), want);
  f([100, 300], [100, 300], [1000, 2000]); // at rest
  f([200, 300], [150, 350], [1250, 1750]); // apart: the middle stays in the middle
  f([0, 100], [0, 200], [1000, 1500]); // apart from the left edge
  f([100, 300], [150, 350], [900, 1900]); // both to the right: pan into the past
  f([100, 300], [150, 250], [600, 2600]); // together
  f([300, 100], [350, 150], [900, 1900]); // whichever finger came first
});

test("no pinch is finer than twenty seconds or wider than eight days", () => {
  const span = ([a, b]: Window) => b - a;
  assert.equal(span(pinch([1000, 1060], [200, 210], [0, 500], 500)), 20);
  assert.equal(span(pinch([0, 604800], [0, 500], [240, 260], 500)), 8 * 86400);
  assert.ok(Number.isFinite(span(pinch([1000, 2000], [200, 200], [200, 200], 500))), "two fingers on one spot");
});

test("a window does not reach beyond now", () => {
  assert.deepEqual(past([900, 1100], 1000), [800, 1000]);
  assert.deepEqual(past([800, 900], 1000), [800, 900]);
  assert.deepEqual(past([-5000, 900], 1000), [1, 900], "nor before the clocks began");
});
