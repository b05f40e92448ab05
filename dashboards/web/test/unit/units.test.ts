import assert from "node:assert/strict";
import { test } from "node:test";
import { absent, ago, clock, cores, count, day, disk, gapSays, many, memory, memoryOf, moment, month, none, rate, ratesIn, seconds, share, size, sold, span, tight, whole } from "../../src/units.ts";

const plain = (s: string) => s.replaceAll("\u00a0", " ");
const eq = (got: string, want: string) => assert.equal(plain(got), want);

test("what is not known is a dash, never a zero", () => {
  for (const f of [cores, count, disk, memory, rate, share, size, whole]) {
    assert.equal(f(null), none, f.name);
    assert.notEqual(f(0), none, f.name);
  }
});

test("memory goes in powers of 1024", () => {
  eq(memory(0), "0 B");
  eq(memory(1023), "1023 B");
  eq(memory(1023.9 * 2 ** 10), "1.0 MiB"); // rounds into the next unit
  eq(memory(58 * 2 ** 20), "58.0 MiB");
  eq(memory(1212 * 2 ** 20), "1.2 GiB");
  eq(memory(812.4 * 2 ** 20), "812 MiB");
  eq(size(64 * 2 ** 20), "64 MiB");
  eq(memory(2 ** 80), "1073741824 PiB");
});

test("a part is told in its whole's unit", () => {
  const f = (part: number, whole: number, want: string) => eq(memoryOf(part * 2 ** 20, whole * 2 ** 20).join(" "), want);
  f(44.8, 64, "44.8 of 64 MiB");
  f(121.4, 128, "121 of 128 MiB");
  f(38.2, 256, "38 of 256 MiB");
  f(1212, 2048, "1.2 of 2 GiB");
  f(3, 2048, "3.0 MiB of 2 GiB");
  f(29, 1024, "29.0 MiB of 1 GiB");
  f(52, 1024, "0.1 of 1 GiB");
  f(0, 1024, "0.0 of 1 GiB");
  eq(memoryOf(5 * 2 ** 20, null).join(" "), "5.0 MiB");
  eq(memoryOf(null, 2 ** 20).join(" "), none + " ");
});

test("rates go in powers of 1000", () => {
  eq(rate(0), "0 B/s");
  eq(rate(840_000), "840 kB/s");
  eq(rate(3_240_000), "3.2 MB/s");
  eq(rate(999_960), "1.0 MB/s");
  eq(disk(80e9), "80 GB");
  assert.deepEqual(ratesIn(610_000, 230_000), ["610", "230"]);
  assert.deepEqual(ratesIn(400_000, 3_900_000), ["0.4", "3.9"]);
  assert.deepEqual(ratesIn(null, 12), [none, "12"]);
});

test("cores", () => {
  eq(cores(0), "0.00");
  eq(cores(0.0001), "<0.01");
  eq(cores(0.94), "0.94");
  eq(cores(12.46), "12.5");
  eq(cores(128.3), "128");
  eq(whole(2), "2");
  eq(whole(0.25), "0.25");
  assert.deepEqual([1, 2, 0.5, 0.999, null].map((v) => plain(sold(v))), ["1 core", "2 cores", "0.5 cores", "1 core", none]);
  assert.deepEqual([0, 1, 21].map((n) => plain(many(n, "container"))), ["0 containers", "1 container", "21 containers"]);
});

test("shares", () => {
  eq(share(0), "0 %");
  eq(share(0.0001), "<0.1 %");
  eq(share(0.074), "7.4 %");
  eq(share(0.07), "7 %");
  eq(share(0.0996), "10 %");
  eq(share(0.31), "31 %");
  eq(share(1.04), "104 %");
});

test("spans of time", () => {
  eq(span(12), "12 s");
  eq(span(119), "119 s");
  eq(span(120), "2 min");
  eq(span(3900), "1 h 5 min");
  eq(span(3600 * 11 + 60), "11 h");
  eq(span(86400 * 2 + 3 * 3600), "2 d 3 h");
  eq(span(-3), "0 s");
  eq(span(86400 * 700), "700 d");
  eq(span(1.8e9), "57 years");
  eq(ago(100, 101), "now");
  eq(ago(100, 103), "3 s ago");
});

test("moments", () => {
  const t = Date.UTC(2026, 10, 24, 14, 2, 4) / 1000;
  eq(clock(t), "14:02:04");
  eq(day(t), "24 Nov");
  eq(moment(t, t + 60), "14:02:04");
  eq(moment(t, t + 86400), "24 Nov 14:02:04");
  eq(moment(1, t), "1 Jan 1970 00:00:01");
  eq(month(t), "Nov 2026");
  assert.equal(seconds("2026-11-24T14:02:04.5Z"), t + 0.5);
  assert.equal(seconds("0001-01-01T00:00:00Z"), null);
  assert.equal(seconds(null), null);
  assert.equal(seconds("nonsense"), null);
});

test("a gap tells its reason once", () => {
  const g = (detail: string) => ({ since: "1970-01-01T00:01:00Z", reason: "permission", detail });
  eq(gapSays(g("the reader was refused"), 72), "No sample for 12 s: the reader was refused");
  eq(gapSays(g(""), 72), "No sample for 12 s: permission");
  eq(gapSays(g("no sample for 12s, though its node is read"), 72), "No sample for 12s, though its node is read");
  eq(gapSays(g("beta: no sample for 12s"), 72), "beta: no sample for 12s");
  eq(gapSays(g("the reader was refused."), 72), "No sample for 12 s: the reader was refused");
});

test("of what is not there nobody who may not see all is told whether it is", () => {
  eq(absent("Not running now", {}), "Not running now.");
  eq(absent("Not running now", { limited: true }), "Not running now, or it is one that you may not see.");
});

test("a gap that is no lack of samples is not called one", () => {
  const g = (reason: string, detail: string) => ({ since: "1970-01-01T00:01:00Z", reason, detail });
  eq(gapSays(g("scale", 'The target\'s scale cannot be used: no such Deployment in namespace "shop".'), 103), 'For 43 s: The target\'s scale cannot be used: no such Deployment in namespace "shop"');
  eq(gapSays(g("policy", 'the annotation of Deployment annbad cannot be used: plimsoll.dev/max "twenty" is not a whole number'), 103), 'For 43 s: the annotation of Deployment annbad cannot be used: plimsoll.dev/max "twenty" is not a whole number');
  eq(gapSays(g("target", "missing request for cpu in container web of Pod web-1"), 72), "For 12 s: missing request for cpu in container web of Pod web-1");
  eq(gapSays(g("hidden", "machines are shown to others"), 240), "Not shown to you: machines are shown to others");
});

test("units of a sentence stay on the line of their numbers", () => {
  const f = (s: string, want: string) => assert.equal(tight(s).replaceAll("\u00a0", "_"), want);
  f("Load stood at 117 % of request for 3 s, clear of its noise (±7 %); 7 replicas bring it to 67 %.", "Load stood at 117_% of request for 3_s, clear of its noise (±7_%); 7 replicas bring it to 67_%.");
  f("cpu 38 % of 70 %, looked at 60 s", "cpu 38_% of 70_%, looked at 60_s");
  f("the 1 replica that there are; 2 services, 3 minutes", "the 1 replica that there are; 2 services, 3 minutes");
});
