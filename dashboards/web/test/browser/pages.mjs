// What the browser tests share: the server, the views to look at, and pages that record what goes wrong.
import { lacking, launch, mock, patience } from "../browser.mjs";

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
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (m) => m.type() === "error" && wrong.push("console: " + m.text()));
  page.on("pageerror", (e) => wrong.push("error: " + e.message));
  page.on("request", (r) => /^(https?|wss?):/.test(r.url()) && !r.url().startsWith(base) && wrong.push("elsewhere: " + r.url()));
  await page.exposeFunction("plimsollViolation", (v) => wrong.push("policy: " + v));
  await page.addInitScript(() => document.addEventListener("securitypolicyviolation", (e) => globalThis.plimsollViolation(`${e.violatedDirective} ${e.blockedURI}`)));
  await page.goto(base + hash);
  await page.waitForSelector("main h1", { state: "attached" });
  await settled(page);
  return { page, wrong, close: () => context.close() };
}

/** settled waits until what was drawn also listens: that comes a frame later. */
export const settled = (page) => page.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(r, 50)))));

/** quiet waits until the charts are drawn and nothing has moved for a second: the pointer aims at places. */
export async function quiet(page) {
  await page.waitForSelector(".plot:not(.none) canvas");
  await page.evaluate(async () => {
    const places = () => JSON.stringify([...document.querySelectorAll(".plot, summary, .log li")].map((e) => e.getBoundingClientRect()));
    for (let last = "", same = 0; same < 5; ) {
      await new Promise((r) => setTimeout(r, 200));
      const now = places();
      same = now === last ? same + 1 : 0;
      last = now;
    }
  });
}

/** arrives waits until the address is so. */
export const arrives = (page, what) => page.waitForFunction((s) => new RegExp(s).test(location.hash), what.source);

export { lacking, launch, mock };
