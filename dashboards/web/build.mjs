// Builds dist/ from src/: one script, one style sheet, the mark, and index.html that names them by their hashes.
// The same sources and lock file give the same bytes.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const here = (p) => new URL(p, import.meta.url).pathname;
const dist = process.env.DIST ?? here("dist");

const { outputFiles } = await build({
  entryPoints: [here("src/page.tsx"), here("src/page.css")],
  absWorkingDir: here("."),
  outdir: "out",
  bundle: true,
  minify: true,
  write: false,
  format: "esm",
  target: ["chrome123", "firefox121", "safari17.5"],
  jsx: "automatic",
  jsxImportSource: "preact",
  loader: { ".yaml": "text" },
  legalComments: "none",
  banner: { js: "/* Code generated from src/ by npm run build. DO NOT EDIT. Contains Preact, (c) 2015-present Jason Miller, and uPlot, (c) 2022 Leon Sorokin, MIT licence: see NOTICE. */" },
});

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
const names = {};
let sum = 0;
const put = async (name, bytes) => {
  const zipped = gzipSync(bytes, { level: 9 }).length;
  sum += zipped;
  console.log(`${name.padEnd(22)} ${String(bytes.length).padStart(7)} bytes, ${String(zipped).padStart(6)} gzip`);
  await writeFile(`${dist}/${name}`, bytes);
};
const hashed = async (name, bytes) => {
  const [stem, ext] = name.split(".");
  names[name] = `${stem}-${createHash("sha256").update(bytes).digest("hex").slice(0, 10)}.${ext}`;
  await put(names[name], bytes);
};
for (const f of outputFiles) await hashed(f.path.split("/").pop(), f.contents);
await hashed("mark.svg", await readFile(here("src/mark.svg")));
const html = (await readFile(here("src/index.html"), "utf8")).replace(/\{\{(.+?)\}\}/g, (_, n) => names[n]);
await put("index.html", Buffer.from(html));
console.log(`${"all".padEnd(22)} ${"".padStart(7)}        ${String(sum).padStart(6)} gzip`);
