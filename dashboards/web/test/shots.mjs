// Takes pictures of the page: npm run shots -- [URL] [OUTDIR] [SCENE]. Without a URL, or with "mock", the mock server is started.
// SHOTS_FULL=1 takes the whole length of each page, SHOTS_WAIT says for how many milliseconds it may gather live values first.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, mock } from "./browser.mjs";

const [url = "mock", out = "out/shots", scene = "full"] = process.argv.slice(2);
mkdirSync(out, { recursive: true });
const server = url === "mock" ? await mock(scene) : null;
const base = (server?.url ?? url).replace(/\/?$/, "/");

/** find asks the server which workload and container to show: those most worth a picture. */
async function find() {
  const o = await (await fetch(base + "plimsoll/v1/overview")).json();
  const e = encodeURIComponent;
  const s = o.scaled.find((x) => x.name === "web") ?? o.scaled[0];
  const c = o.containers.find((x) => x.memoryLimit && x.runtime === "docker") ?? o.containers[0];
  const views = { overview: "#/" };
  if (s) views.workload = `#/workload/${e(s.namespace)}/${e(s.kind)}/${e(s.name)}`;
  if (c) views.container = `#/container/${[c.node, c.namespace, c.pod, c.name].map(e).join("/")}`;
  views.machine = `#/machine/${e(o.nodes[0]?.name ?? "")}`;
  return views;
}

const browser = await launch();
try {
  for (const [view, hash] of Object.entries(await find())) {
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [1200, 400]) {
        const page = await browser.newPage({ viewport: { width, height: width > 600 ? 1000 : 860 }, colorScheme, ...(width > 600 ? {} : { deviceScaleFactor: 2, hasTouch: true, isMobile: true }) });
        page.on("console", (m) => m.type() === "error" && console.error(`${view}: ${m.text()}`));
        page.on("pageerror", (e) => console.error(`${view}: ${e.message}`));
        await page.goto(base + hash);
        await page.waitForSelector("main h1", { state: "attached" });
        await page.waitForTimeout(Number(process.env.SHOTS_WAIT ?? 2500));
        const path = join(out, `${view}-${colorScheme}-${width}.png`);
        await page.screenshot({ path, fullPage: !!process.env.SHOTS_FULL });
        console.log(path);
        await page.close();
      }
    }
  }
} finally {
  await browser.close();
  await server?.stop();
}
