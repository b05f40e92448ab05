// Builds the unit tests with the sources they test, and runs them with node's test runner.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";

const here = (p) => new URL(p, import.meta.url).pathname;
const out = here("../out/unit");
rmSync(out, { recursive: true, force: true });
const tests = readdirSync(here("unit")).filter((f) => f.endsWith(".test.ts"));
await build({ entryPoints: tests.map((f) => here("unit/" + f)), outdir: out, bundle: true, format: "esm", platform: "node", outExtension: { ".js": ".mjs" }, loader: { ".yaml": "text" }, jsx: "automatic", jsxImportSource: "preact", define: { ROOT: JSON.stringify(here("../../..")) } });
const r = spawnSync(process.execPath, ["--test", ...tests.map((f) => `${out}/${f.replace(".ts", ".mjs")}`)], { stdio: "inherit", env: { ...process.env, TZ: "UTC" } });
process.exit(r.status ?? 1);
