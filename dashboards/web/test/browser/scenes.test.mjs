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

staged("cluster", "a node shows its pods, what they ask for and its conditions, and is reached from what is on it", async (server) => {
  const { page, wrong, close } = await open(browser, server.url, "#/workload/shop/Deployment/checkout");
  await page.waitForSelector("text=/sums of 3 of 4\\spods/");
  await page.waitForSelector("text=/now 3 of 4\\spods/");
  await page.click(".containers tbody tr small a >> nth=0");
  await page.waitForSelector("h1:has-text('node-7')");
  await page.waitForSelector(".node-conditions em:has-text('True')");
  assert.match(await page.textContent("#node-conditions"), /1 to look at/);
  assert.match(await page.textContent(".room tbody tr >> nth=0"), /CPU.*of 1\.9\scores.*cores/s);
  assert.match(await page.textContent(".pods >> nth=0"), /shop\/pay-1Deployment pay · 2\scontainersNo sample for \d+\ss.*ContainerCreating.*of 0\.1 requested/s);
  assert.match(await page.textContent("#others"), /Beside pods/);
  await page.click(".pods a:has-text('search') >> nth=1");
  await page.waitForSelector("h1:has-text('shop/search')");
  await page.goto(server.url + "#/");
  await page.waitForSelector("text=/of 1 of 2\\smachines/");
  assert.deepEqual(wrong, []);
  await close();
});

staged("cluster", "a name as long as can be gives way to its figure, and nothing scrolls sideways", async (server) => {
  const { page, wrong, close } = await open(browser, server.url, "#/");
  await page.waitForSelector(".who a[title^='shop/a-name-as-long']");
  await page.waitForSelector("text=with what stays on the machine");
  assert.match(await page.textContent("header .machine"), /^1 of 2\smachines · 2\scores · 23\.4\sGiB$/); // those of a silent one are not counted
  for (const width of [1280, 1440, 390]) {
    await page.setViewportSize({ width, height: 900 });
    const wide = () => page.evaluate(() => document.documentElement.scrollWidth);
    for (let i = 0; i < 40 && (i < 2 || (await wide()) > width); i++) await page.waitForTimeout(150);
    const got = await wide();
    assert.ok(got <= width, `${got} pixels wide at ${width}`);
    const out = await page.evaluate(() => [...document.querySelectorAll(".tile")].filter((t) => t.scrollWidth > t.clientWidth).map((t) => t.ariaLabel));
    assert.deepEqual(out, [], `tiles that something runs out of, at ${width}`);
    const names = await page.evaluate(() => [...document.querySelectorAll(".who a")].map((a) => Math.round(a.getBoundingClientRect().width)));
    assert.ok(names.length === 5 && Math.min(...names) > 16, `names ${names} pixels wide at ${width}`);
  }
  assert.deepEqual(wrong, []);
  await close();
});

staged("part", "who may not see all is told that what is not there may be one that they may not see", async (server) => {
  const { page, wrong, close } = await open(browser, server.url, "#/workload/shop-eu/Deployment/web");
  await page.waitForSelector("text=There is no such workload now, or it is one that you may not see.");
  await page.waitForSelector("text=There is no value of it in this time");
  await page.goto(server.url + "#/container/node-7/shop-eu/lone/c");
  await page.waitForSelector("text=Not running now, or it is one that you may not see.");
  assert.deepEqual(wrong.filter((w) => !w.includes("404")), []);
  await close();
});

staged("ill", "a long address in a message breaks, and its table stays in its card", async (server) => {
  const { page, wrong, close } = await open(browser, server.url, "#/");
  await page.waitForSelector("text=/queue_length failed/");
  for (const width of [1100, 900, 761, 390]) {
    await page.setViewportSize({ width, height: 900 });
    const wide = () => page.evaluate(() => Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll("table.rows")].map((t) => t.scrollWidth)));
    for (let i = 0; i < 40 && (i < 2 || (await wide()) > width); i++) await page.waitForTimeout(150);
    const got = await wide();
    assert.ok(got <= width, `${got} pixels wide at ${width}`);
  }
  assert.deepEqual(wrong, []);
  await close();
});

staged("cluster", "what no runtime has yet is told by its image and its machine", async (server) => {
  const { page, wrong, close } = await open(browser, server.url, "#/?q=broken-1");
  await page.waitForSelector("text=/nosuch:9/");
  assert.match(await page.textContent("table.containers tbody tr td small"), /^nosuch:9 · node-7\b/);
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
  await page.waitForSelector("#containers >> text=/^\\d+, what hurts first, the first 100 below$/");
  await page.click("text=Show the first 500");
  await page.waitForSelector("#containers >> text=/^\\d+, what hurts first, the first 5\\d\\d below$/");
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

staged("many", "over more containers than the stream brings the server sorts and searches", async (server) => {
  const { page, wrong, close } = await open(browser, server.url, "#/?sort=memory");
  await page.waitForSelector(".containers tbody tr:first-child:has-text('c0899')");
  await page.goto(server.url + "#/?q=bench&sort=memory");
  await page.waitForSelector("text=/900 of \\d+ match “bench”, by memory, the first 100 below/");
  await page.waitForSelector(".containers tbody tr:first-child:has-text('c0899')");
  assert.deepEqual(wrong, []);
  await close();
});

staged("full", "a window of the past has its own decisions", async (server) => {
  const from = Math.floor(Date.now() / 1000 / 600) * 600 - 3 * 86400;
  const { page, wrong, close } = await open(browser, server.url, `#/workload/demo/ProcessService/web?from=${from + 100}&to=${from + 560}`);
  await page.waitForSelector("text=4 in this time, newest first");
  assert.equal(await page.locator(".log > li").count(), 4);
  await page.goto(server.url + `#/workload/demo/ProcessService/web?from=${from + 10}&to=${from + 100}`);
  await page.waitForSelector("text=No change of the count in this time");
  assert.deepEqual(wrong, []);
  await close();
});

staged("full", "more changes than can be drawn are the most and the least, and are not counted short", async (server) => {
  const { page, wrong, close } = await open(browser, server.url, "#/workload/demo/ProcessService/web?range=7d");
  await page.waitForSelector("text=/^more than 1000 in this time/");
  await page.waitForSelector(".chart:has(#replicas) .legend:has-text('least')");
  await page.goto(server.url + "#/workload/demo/ProcessService/web?range=24h");
  await page.waitForSelector("text=/^57\\d in this time, newest first/");
  await page.goto(server.url + "#/workload/demo/ProcessService/web?range=1h");
  await page.waitForSelector(".chart:has(#replicas) .legend:has-text('asked for')");
  assert.deepEqual(wrong, []);
  await close();
});

staged("full", "a window as long as time is drawn, and one that cannot be is not", async (server) => {
  for (const to of ["253402300799", "1e300"]) {
    const { page, wrong, close } = await open(browser, server.url, "#/machine/node-7?from=1&to=" + to);
    await page.waitForSelector(".charts");
    const text = await page.textContent("main");
    assert.doesNotMatch(text, /NaN|undefined|Invalid/);
    assert.equal(/Looking at 1 Jan 1970.*\(\d\d\s+years\)/.test(text), to !== "1e300", text.slice(0, 200));
    assert.deepEqual(wrong, []);
    await close();
  }
});

staged("full", "only what can be scaled is offered scaling", async (server) => {
  const { page, close } = await open(browser, server.url, "#/workload/docker/Docker/nginx");
  await page.waitForSelector("text=Docker, 1 container, not scaled");
  assert.equal(await page.locator(".policy").count(), 0);
  await page.goto(server.url + "#/workload/batch/ProcessService/mail");
  await page.waitForSelector(".policy >> text=How to scale it");
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

staged("full", "what of a workload or a machine cannot be read is told with the reason, and not as nothing", async (server) => {
  const { page, close } = await open(browser, server.url);
  let answer = { status: 403, body: '{"message": "cart is forbidden."}' };
  await page.route(/v1\/(workloads|nodes)\//, (r) => (answer ? r.fulfill({ contentType: "application/json", ...answer }) : r.abort()));
  await page.goto(server.url + "#/workload/no/Deployment/cart");
  await page.waitForSelector("text=It could not be read: cart is forbidden.");
  const said = await page.textContent("main");
  assert.ok(!/not scaled|0 containers|None of its/.test(said), said);
  answer = { status: 503, body: '{"error": "the API server is away"}' };
  await page.goto(server.url + "#/workload/demo/ProcessService/web"); // of which the stream tells
  await page.waitForSelector("text=What is told of it alone is not of now. It could not be read: the API server is away.");
  await page.waitForSelector("text=/ to \\d+ allowed/");
  await page.goto(server.url + "#/machine/node-7");
  await page.waitForSelector("text=What is on it could not be read: the API server is away.");
  answer = null;
  await page.goto(server.url + "#/workload/no/Deployment/such");
  await page.waitForSelector("text=It could not be read: the server does not answer.");
  await close();
});

staged("full", "what is not there is told in one line, not in empty charts", async (server) => {
  const { page, close } = await open(browser, server.url, "#/workload/no/Deployment/such");
  await page.waitForSelector("text=There is no such workload now.");
  await page.waitForSelector("text=There is no value of it in this time");
  assert.equal(await page.locator("canvas").count(), 0);
  await close();
});
