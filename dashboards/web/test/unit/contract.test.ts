// Holds src/contract.ts to the types that the server writes: the same types with the same fields.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

declare const ROOT: string;
const go = ROOT + "aggregator/api/types.go";
const more = ["pods.go", "parts.go", "machine.go"].map((f) => ROOT + "aggregator/api/" + f);
const words = [ROOT + "internal/cluster/", ROOT + "internal/condition/"];
const ts = ROOT + "dashboards/web/src/contract.ts";

/** fields lists each type's fields, by their names in JSON; those of a Target, or of a type of the cluster, that is embedded in it belong to it. */
function fields(text: string, type: RegExp, field: RegExp, embeds: RegExp): Map<string, string[]> {
  const out = new Map<string, string[]>();
  const whole: string[] = [];
  for (const m of text.matchAll(type)) {
    const grown = /^\tcluster\.(\w+)$/m.exec(m[2]!); // a type of the cluster with more to it
    out.set(m[1]!, [...(grown ? out.get(grown[1]!)! : []), ...[...m[2]!.matchAll(field)].map((f) => f[1]!)]);
    if (embeds.test(m[0])) whole.push(m[1]!);
  }
  for (const name of whole) out.get(name)!.push(...(out.get("Target") ?? []));
  for (const list of out.values()) list.sort();
  return out;
}

test("the page reads what the server writes", { skip: !existsSync(go) && "needs aggregator/api/types.go: not in this checkout" }, () => {
  const files = [...words.flatMap((dir) => readdirSync(dir).map((f) => dir + f)).filter((f) => f.endsWith(".go") && !f.endsWith("_test.go")), go, ...more]; // of two of one name the API's counts
  const server = fields(files.map((f) => readFileSync(f, "utf8")).join("\n"), /^type (\w+) struct \{\n([\s\S]*?)^\}/gm, /`json:"(\w+)/g, /^\tTarget$/m);
  const page = fields(readFileSync(ts, "utf8"), /^export interface (\w+)[^{\n]*\{\n([\s\S]*?)^\}/gm, /^ {2}(\w+)\??:/gm, / extends Target /);
  page.delete("Detail"); // the autoscaler's, and only in part
  assert.ok(page.size >= 8);
  for (const [name, want] of page) assert.deepEqual(want, server.get(name), name);
});
