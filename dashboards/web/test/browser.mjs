// Starts the browser for tests and pictures, and the mock server unless a real one is given.
import { chromium } from "playwright-core";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const root = new URL("../../..", import.meta.url).pathname;

const program = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** lacking says what the browser tests need and this machine does not have; false if it has everything. */
export const lacking = existsSync(program) ? false : `needs ${program}: install Debian's chromium`;

/** patience is how long anything may take that a quiet machine does at once. */
export const patience = 120_000;

export const launch = () =>
  chromium.launch({
    executablePath: program,
    timeout: patience,
    args: ["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
  });

let binary = "";
function built() {
  if (binary) return binary;
  binary = join(mkdtempSync(join(tmpdir(), "plimsoll-mock-")), "mock");
  const r = spawnSync("go", ["build", "-o", binary, "./dashboards/web/mock"], { cwd: root, stdio: "inherit" });
  if (r.status !== 0) throw new Error("cannot build the mock server");
  return binary;
}

/** mock starts the mock server and gives its address and a function that ends it. */
export async function mock(scene = "full", listen = "127.0.0.1:0") {
  const p = spawn(built(), ["-scene", scene, "-listen", listen], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await Promise.race([once(createInterface(p.stdout), "line"), once(p, "exit").then(() => [""])]);
  if (!line) throw new Error(`the mock server ended instead of listening on ${listen}`);
  const url = line.replace("listening on ", "");
  return {
    url,
    listen: new URL(url).host,
    stop: async () => {
      if (p.exitCode === null && p.signalCode === null) {
        p.kill("SIGKILL");
        await once(p, "exit");
      }
    },
  };
}
