// What only the mock can stage: a first run, nothing to show, trouble, a server that goes away.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { lacking, launch, mock, open, quiet } from "./pages.mjs";

const skip = process.env.PLIMSOLL_URL ? "needs the mock server: PLIMSOLL_URL is set" : lacking;
let browser;
before(async () => (browser = skip ? null : await launch()));
after(async () => browser?.close());

const staged = (scene, name, f) =>
  test(name, { skip }, async () => {
    const server = await mock(scene);
    try {
      await f(server);
    } finally {
      await server.stop();
    }
  });

staged("first", "a first run says since when it collects, and draws at once", async (server) => {
  const { page, wrong, close } = await open(browser, server.url);
  await page.waitForSelector("text=/Collecting for \\d+\\s(s|min)/");
  await page.goto(server.url + "#/machine/node-7");
  let drawn = false;
  for (let i = 0; i < 5 && !drawn; i++) { // the best of several: the machine may be busy
    if (i) await page.reload();
    drawn = await page.waitForSelector(".plot:not(.none) canvas", { timeout: 4000 }).then(() => true, () => false);
  }
  assert.ok(drawn, "a chart is drawn within 4 s");
  assert.deepEqual(wrong, []);
  await close();
});

staged("empty", "an empty list says what would fill it", async (server) => {
  const { page, close } = await open(browser, server.url);
  await page.waitForSelector("text=plimsoll run --demo");
  await page.waitForSelector("text=kind: ScalePolicy");
  await page.waitForSelector("text=plimsoll doctor");
  await close();
});

staged("full", "the past comes from the structured query alone", async (server) => {
  const { page, wrong, close } = await open(browser, server.url, "#/");
  const asked = [];
  page.on("request", (r) => asked.push(new URL(r.url()).pathname));
  await page.goto(server.url + "#/container/node-7/docker/postgres/postgres?range=1h");
  await page.waitForSelector(".plot:not(.none) canvas");
  await page.click("summary >> nth=0");
  await page.waitForFunction(() => document.querySelectorAll(".numbers tbody tr").length > 50);
  assert.ok(asked.includes("/plimsoll/v1/series"), asked.join());
  assert.deepEqual(asked.filter((p) => p.includes("/v1/") && !p.startsWith("/plimsoll/v1/")), []);
  assert.deepEqual(wrong, []);
  await close();
});

staged("ill", "trouble of Plimsoll's own is said first", async (server) => {
  const { page, close } = await open(browser, server.url);
  assert.match(await page.textContent("main > ul >> nth=0"), /DiskFull.*cannot be written/);
  await close();
});

staged("full", "a gap is no value in the table, and the reason is told", async (server) => {
  const { page, wrong, close } = await open(browser, server.url, "#/container/node-7/batch/resize-1/resize?range=1h");
  await page.waitForSelector(".plot:not(.none) canvas");
  await page.click("summary >> nth=0");
  await page.waitForSelector("text=no value");
  assert.deepEqual(wrong, []);
  await close();
});

staged("full", "a scaled workload shows its decisions in words, and points at them", async (server) => {
  const { page, wrong, close } = await open(browser, server.url, "#/workload/demo/ProcessService/web");
  await page.waitForSelector(".log li.up, .log li.down");
  assert.match(await page.textContent(".log li >> nth=0"), /\d → \d Load .*metrics.*stabilize.*limits/s);
  await quiet(page);
  await page.hover(".log li >> nth=0");
  await page.waitForSelector(".said >> nth=0");
  assert.match(await page.textContent(".said >> nth=0"), /^\d → \d Load/);
  // The cursor stands in all charts of the page.
  await page.waitForFunction(() => document.querySelectorAll("figcaption time").length === document.querySelectorAll(".chart").length);
  assert.deepEqual(wrong, []);
  await close();
});

staged("many", "of many containers the first hundred are drawn, and the search finds them all", async (server) => {
  const { page, wrong, close } = await open(browser, server.url);
  await page.waitForSelector(".containers tbody tr");
  assert.equal(await page.$$eval(".containers tbody tr", (all) => all.length), 100);
  await page.click("text=Show all 500");
  await page.waitForFunction(() => document.querySelectorAll(".containers tbody tr").length >= 500);
  const busy = await page.evaluate(async () => {
    let longest = 0;
    new PerformanceObserver((l) => l.getEntries().forEach((e) => (longest = Math.max(longest, e.duration)))).observe({ entryTypes: ["longtask"] });
    await new Promise((r) => setTimeout(r, 4000));
    return longest;
  });
  console.log(`# longest task with 500 rows: ${busy.toFixed(0)} ms`);
  await page.keyboard.press("/");
  await page.keyboard.type("c0899");
  await page.waitForSelector("a[data-row]:has-text('c0899')");
  await page.keyboard.press("Enter");
  await page.waitForSelector("h1:has-text('c0899')");
  await page.waitForSelector("text=cgroup · started");
  assert.deepEqual(wrong, []);
  await close();
});

test("a server that goes away is told of, and comes back by itself", { skip }, async () => {
  let server = await mock("full");
  const { page, close } = await open(browser, server.url);
  await page.waitForSelector(".fresh.live");
  const rows = await page.$$eval(".containers tbody tr", (all) => all.length);
  await server.stop();
  await page.waitForSelector("[role=status] >> text=does not answer");
  assert.match(await page.textContent(".banner"), /since \d\d:\d\d:\d\d/);
  assert.ok(await page.$("main.away"), "the picture is greyed");
  assert.equal(await page.$$eval(".containers tbody tr", (all) => all.length), rows, "the last picture stays");
  for (let tries = 1; ; tries++) {
    try {
      server = await mock("full", server.listen);
      break;
    } catch (e) {
      if (tries === 20) throw e;
      await page.waitForTimeout(1000); // somebody else has just taken the port for a moment
    }
  }
  try {
    await page.waitForSelector(".banner", { state: "detached" });
    await page.waitForSelector(".fresh.live");
  } finally {
    await server.stop();
    await close();
  }
});

staged("full", "what is not there is told in one line, not in empty charts", async (server) => {
  const { page, close } = await open(browser, server.url, "#/workload/no/Deployment/such");
  await page.waitForSelector("text=There is no value of it in this time");
  assert.equal(await page.locator("canvas").count(), 0);
  await close();
});
