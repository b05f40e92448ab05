// Every view, as a person with a desktop, a phone, dark colours or a screen reader meets it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test as named } from "node:test";
import { lacking, launch, looks, open, serve, quiet, views } from "./pages.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const test = (name, f) => named(name, { skip: lacking }, f);
let browser, server, at;
before(async () => {
  if (lacking) return;
  [browser, server] = await Promise.all([launch(), serve()]);
  at = await views(server.url);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

test("the page forbids everything that it does not need", async () => {
  const r = await fetch(server.url);
  assert.match(r.headers.get("content-security-policy"), /^default-src 'none'; script-src 'self'; style-src 'self'; /);
  assert.doesNotMatch(r.headers.get("content-security-policy"), /unsafe/);
  assert.equal(r.headers.get("x-content-type-options"), "nosniff");
});

for (const look of looks) {
  test(`${look}: nothing goes wrong, nothing comes from elsewhere`, async (t) => {
    if (!at[look]) return t.skip("needs a scaled workload");
    const { page, wrong, close } = await open(browser, server.url, at[look]);
    await page.waitForFunction(() => document.querySelector(".fresh.live"));
    await page.waitForTimeout(1500);
    if (look !== "overview") {
      await page.hover(".plot:not(.none)");
      await page.click("summary");
    }
    assert.deepEqual(wrong, []);
    await close();
  });

  test(`${look}: a phone scrolls down, never sideways`, async (t) => {
    if (!at[look]) return t.skip("needs a scaled workload");
    const { page, wrong, close } = await open(browser, server.url, at[look], { viewport: { width: 400, height: 860 }, hasTouch: true });
    await page.waitForTimeout(1200);
    if (look !== "overview") await quiet(page);
    for (const s of await page.$$("summary")) await s.click();
    for (const width of [400, 360, 320]) {
      await page.setViewportSize({ width, height: 800 });
      const wide = () => page.evaluate(() => document.documentElement.scrollWidth);
      for (let i = 0; i < 40 && (i < 2 || (await wide()) > width); i++) await page.waitForTimeout(150); // the charts follow
      const got = await wide();
      assert.ok(got <= width, `${got} pixels wide at ${width}`);
    }
    assert.deepEqual(wrong, []);
    await close();
  });

  test(`${look}: a narrow window scrolls down, never sideways`, async (t) => {
    if (!at[look]) return t.skip("needs a scaled workload");
    const { page, wrong, close } = await open(browser, server.url, at[look]);
    await page.waitForTimeout(1200);
    for (const width of [1100, 1000, 900, 800, 761]) {
      await page.setViewportSize({ width, height: 800 });
      const wide = () => page.evaluate(() => document.documentElement.scrollWidth);
      for (let i = 0; i < 40 && (i < 2 || (await wide()) > width); i++) await page.waitForTimeout(150); // the charts follow
      assert.equal(await wide(), width);
      assert.deepEqual(await page.$$eval("table.rows", (all) => all.filter((t) => t.scrollWidth > t.parentElement.clientWidth).map((t) => t.className)), [], `out of their cards at ${width}`);
    }
    assert.deepEqual(wrong, []);
    await close();
  });

  for (const colorScheme of ["light", "dark"]) {
    test(`${look}, ${colorScheme}: axe finds nothing`, async (t) => {
      if (!at[look]) return t.skip("needs a scaled workload");
      const { page, close } = await open(browser, server.url, at[look], { colorScheme, bypassCSP: true });
      if (look !== "overview") await quiet(page);
      await page.waitForTimeout(1500);
      for (const s of await page.$$("summary")) await s.click();
      await page.waitForTimeout(200);
      await page.addScriptTag({ content: axe });
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
      assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 140) + " " + (n.any[0]?.message ?? "")).slice(0, 3).join(" | ")}`), []);
      await close();
    });
  }
}

test("colours follow the system, and the hand before it, also next time", async () => {
  const { page, wrong, close } = await open(browser, server.url, "#/", { colorScheme: "dark" });
  const dark = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const was = await dark();
  await page.emulateMedia({ colorScheme: "light" });
  await page.waitForFunction((c) => getComputedStyle(document.body).backgroundColor !== c, was);
  await page.click(".theme"); // light
  await page.click(".theme"); // dark
  await page.waitForFunction((c) => getComputedStyle(document.body).backgroundColor === c, was);
  await page.reload();
  await page.waitForSelector("main h1", { state: "attached" });
  assert.equal(await dark(), was);
  assert.deepEqual(wrong, []);
  await close();
});
