import assert from "node:assert/strict";
import { test } from "node:test";
import { format, home, link, parse, type Address } from "../../src/address.ts";

const same = (a: Address) => assert.deepEqual(parse(format(a)), a);

test("what is written is read again", () => {
  same(home);
  same({ ...home, from: 1, to: 253402300799 });
  same({ ...home, from: 0, to: 60 });
  same({ ...home, range: "24h", q: "a b/c?d#e&f=é", sort: "cpu" });
  same({ ...home, view: { at: "machine", node: "" } });
  same({ ...home, view: { at: "workload", namespace: "demo", kind: "ProcessService", name: "a/b c" }, from: 1_700_000_000, to: 1_700_000_900 });
  same({ ...home, view: { at: "container", node: "n", namespace: "", pod: String.raw`system-getty\x2dtty1.service`, name: "%2F" } });
});

test("addresses are short", () => {
  assert.equal(format(home), "#/");
  assert.equal(format({ ...home, range: "1h", q: "web" }), "#/?range=1h&q=web");
  assert.equal(link({ ...home, range: "6h", q: "web", from: 1, to: 9 }, { at: "workload", namespace: "demo", kind: "ProcessService", name: "web" }), "#/workload/demo/ProcessService/web?range=6h");
});

test("what is not known falls back", () => {
  for (const s of ["", "#", "#/", "#/nothing/here", "#?range=9y", "#/?from=5", "#/?from=x&to=y", "#/?from=9&to=3", "#/?from=1&to=1e300", "#/?from=1&to=253402300800", "#/?from=1&to=Infinity", "#/?from=-5&to=9", "#/?from=NaN&to=9", "#/?range=constructor"]) assert.deepEqual(parse(s), home, s);
  assert.deepEqual(parse("#/workload/%zz").view, { at: "workload", namespace: "%zz", kind: "", name: "" });
});
