// Holds src/contract.ts to aggregator/api/types.go: the same types with the same fields.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

declare const ROOT: string;
const go = ROOT + "aggregator/api/types.go";
const ts = ROOT + "dashboards/web/src/contract.ts";

/** fields lists each type's fields, by their names in JSON. */
function fields(text: string, type: RegExp, field: RegExp): Map<string, string[]> {
  const out = new Map<string, string[]>();
  for (const m of text.matchAll(type)) out.set(m[1]!, [...m[2]!.matchAll(field)].map((f) => f[1]!).sort());
  return out;
}

test("the page reads what the server writes", { skip: !existsSync(go) && "needs aggregator/api/types.go: not in this checkout" }, () => {
  const server = fields(readFileSync(go, "utf8"), /^type (\w+) struct \{\n([\s\S]*?)^\}/gm, /`json:"(\w+)/g);
  const page = fields(readFileSync(ts, "utf8"), /^export interface (\w+) \{\n([\s\S]*?)^\}/gm, /^ {2}(\w+)\??:/gm);
  page.delete("Detail"); // the autoscaler's, and only in part
  assert.ok(page.size >= 8);
  for (const [name, want] of page) assert.deepEqual(want, server.get(name), name);
});
