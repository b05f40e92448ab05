// What the browser tests share: the server, the views to look at, and pages that record what goes wrong.
import { launch, mock } from "../browser.mjs";

/** serve gives the server under test: the one at PLIMSOLL_URL, or the mock. */
export async function serve(scene = "full") {
  const url = process.env.PLIMSOLL_URL;
  return url ? { url: url.replace(/\/?$/, "/"), real: true, stop: async () => {} } : { ...(await mock(scene)), real: false };
}

/** views gives the addresses worth testing on a server. */
export async function views(base) {
  const o = await (await fetch(base + "plimsoll/v1/overview")).json();
  const e = encodeURIComponent;
  const s = o.scaled.find((x) => x.name === "web") ?? o.scaled[0];
  const c = o.containers.find((x) => x.memoryLimit) ?? o.containers[0];
  return {
    overview: "#/",
    machine: `#/machine/${e(o.nodes[0].name)}`,
    container: `#/container/${[c.node, c.namespace, c.pod, c.name].map(e).join("/")}`,
    ...(s && { workload: `#/workload/${e(s.namespace)}/${e(s.kind)}/${e(s.name)}` }),
    title: c.title,
  };
}

export const looks = ["overview", "machine", "container", "workload"];

/** open loads an address in a new page; wrong lists what went wrong on it. */
export async function open(browser, base, hash = "#/", options = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (m) => m.type() === "error" && wrong.push("console: " + m.text()));
  page.on("pageerror", (e) => wrong.push("error: " + e.message));
  page.on("request", (r) => /^(https?|wss?):/.test(r.url()) && !r.url().startsWith(base) && wrong.push("elsewhere: " + r.url()));
  await page.exposeFunction("plimsollViolation", (v) => wrong.push("policy: " + v));
  await page.addInitScript(() => document.addEventListener("securitypolicyviolation", (e) => globalThis.plimsollViolation(`${e.violatedDirective} ${e.blockedURI}`)));
  await page.goto(base + hash);
  await page.waitForSelector("main h1", { state: "attached" });
  return { page, wrong, close: () => context.close() };
}

export { launch, mock };
