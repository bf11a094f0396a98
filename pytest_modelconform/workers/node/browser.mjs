// A headless Chromium with one page. It can't outlive this process: workers/keep.py, which holds it, kills it and removes
// its profile when this process ends, in whatever way; and it ends itself when the DevTools pipe does.

import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { findChromium } from "./chromium.mjs";
import { DevTools } from "./devtools.mjs";
import { WorkerError } from "./loop.mjs";

const KEEPER = fileURLToPath(new URL("../keep.py", import.meta.url));
const FLAGS = [
  "--headless=new",
  "--log-level=3", // else its complaints about a missing D-Bus are the last words of every crash
  "--remote-debugging-pipe",
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-background-networking",
  "--disable-breakpad",
  "--disable-component-update",
  "--disable-crash-reporter",
  "--disable-default-apps",
  "--disable-dev-shm-usage", // a container's /dev/shm has 64 MB
  "--disable-extensions",
  "--disable-sync",
  "--disable-background-timer-throttling",
  "--disable-renderer-backgrounding",
  "--no-proxy-server", // nothing but this machine is asked
  "--metrics-recording-only",
  "--mute-audio",
  "--password-store=basic",
  "--use-mock-keychain",
];

// Most characters of a profile's path: Chromium makes a socket below it, and a socket's path has 107.
const LONGEST_PROFILE = 60;
const STDERR_LINES = 10;

export class Browser {
  // Start a browser. flags: further ones. Throws WorkerError if there is none, or if it doesn't start.
  static async start(flags) {
    const { program, env } = await findChromium();
    const profile = newProfile();
    // Root has no sandbox in Chromium; whoever else runs this gets one.
    const all = [...FLAGS, ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []), ...flags];
    const python = process.env.MODELCONFORM_PYTHON ?? "python3";
    const command = ["-I", KEEPER, profile, program, `--user-data-dir=${profile}`, ...all, "about:blank"];
    const keeper = spawn(python, command, {
      env: {
        ...process.env,
        ...env,
        HOME: profile,
        XDG_CONFIG_HOME: profile,
        XDG_CACHE_HOME: profile,
        TMPDIR: profile,
      },
      stdio: ["pipe", "ignore", "pipe", "pipe", "pipe"],
      detached: true, // not killed with our group: it has to clean up
    });
    keeper.on("error", () => fs.rmSync(profile, { recursive: true, force: true }));
    const browser = new Browser(keeper);
    try {
      const { product } = await browser.devtools.send("Browser.getVersion");
      browser.version = product.replace(/^.*\//, "");
      return browser;
    } catch {
      await browser.close();
      throw new WorkerError([`${program} does not start as a headless browser:`, ...browser.stderr].join("\n"));
    }
  }

  constructor(keeper) {
    this.keeper = keeper;
    this.closing = false;
    this.ended = new Promise((resolve) => keeper.on("close", resolve));
    keeper.stdin.on("error", () => {});
    this.stderr = [];
    keeper.stderr.setEncoding("utf-8").on("data", (text) => {
      process.stderr.write(text);
      this.stderr = [...this.stderr, ...text.split("\n").filter((line) => line.trim())].slice(-STDERR_LINES);
    });
    this.devtools = new DevTools(
      keeper.stdio[3],
      keeper.stdio[4],
      (event) => this.#event(event),
      () => this.gone?.("the browser has ended"),
    );
  }

  // Open a page and wait until it has loaded. gone: called with the reason when browser or page have ended by themselves.
  async open(url, gone) {
    this.gone = (reason) => this.closing || gone(reason);
    const { targetId } = await this.devtools.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.devtools.send("Target.attachToTarget", { targetId, flatten: true });
    this.session = sessionId;
    for (const domain of ["Runtime", "Log", "Page", "Inspector"]) {
      await this.devtools.send(`${domain}.enable`, {}, sessionId);
    }
    const loaded = new Promise((resolve) => (this.onLoad = resolve));
    const { errorText } = await this.devtools.send("Page.navigate", { url }, sessionId);
    if (errorText) throw new WorkerError(`the browser can't open its page: ${errorText}`);
    await loaded;
  }

  // The value of an expression in the page, which may be a promise of one.
  async evaluate(expression) {
    const asked = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.devtools.send("Runtime.evaluate", asked, this.session);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  // End the browser and wait until nothing is left of it.
  async close() {
    this.closing = true;
    this.keeper.stdin.end();
    await this.ended;
  }

  #event({ method, params }) {
    if (method === "Page.loadEventFired") this.onLoad?.();
    if (method === "Inspector.targetCrashed") this.gone?.("the page has crashed, as by memory that ran out");
    if (method === "Runtime.consoleAPICalled") {
      console.error(`[page] ${params.args.map((a) => a.value ?? a.description ?? a.type).join(" ")}`);
    }
    if (method === "Runtime.exceptionThrown") {
      const { exception, text } = params.exceptionDetails;
      console.error(`[page] ${exception?.description ?? text}`);
    }
    if (method === "Log.entryAdded") console.error(`[page] ${params.entry.text} ${params.entry.url ?? ""}`);
  }
}

// A folder for a profile, in the system's folder for such if its path is short enough.
function newProfile() {
  const name = "modelconform-browser-";
  const long = path.join(os.tmpdir(), name).length + 6 > LONGEST_PROFILE;
  return fs.mkdtempSync(path.join(long ? "/tmp" : os.tmpdir(), name));
}
