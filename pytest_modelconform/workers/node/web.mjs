// What the runtimes in a page of a headless Chromium share: the browser, the page and the operations of a worker.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Browser } from "./browser.mjs";
import { WorkerError, serve } from "./loop.mjs";
import { threads, versionOf } from "./handlers.mjs";
import { Server } from "./server.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));
// Without these Chromium has WebGPU only where it knows the GPU; with them also by its own rasteriser, on the CPU.
const GPU = [
  "--enable-unsafe-webgpu",
  "--enable-features=Vulkan",
  "--use-webgpu-adapter=swiftshader",
  "--ignore-gpu-blocklist",
];
const FLAGS = { wasm: ["--disable-gpu"], webgpu: GPU };

// Serve a runtime. name: the runtime's. engine: module for page.mjs. provider: "wasm" or "webgpu". packageName: whose
// version is said. folders: as of Server, what the engine loads.
export async function serveInPage({ name, engine, provider, packageName, folders }) {
  const server = new Server({ worker: HERE, ...folders });
  let started = null;
  let browser = null;
  let loaded = false;

  async function ask(operation, request = {}) {
    const said = JSON.stringify(JSON.stringify({ engine, provider, threads, ...request }));
    const answer = JSON.parse(await browser.evaluate(`modelconform(${JSON.stringify(operation)}, ${said})`));
    if (answer.ok) return answer.value;
    throw new WorkerError(answer.message, { kind: answer.name, details: answer.stack });
  }

  async function start() {
    const address = await server.start();
    browser = await Browser.start(FLAGS[provider]);
    await browser.open(`${address}worker/page.html`, gone);
    return ask("start");
  }

  async function hello() {
    started ??= start();
    const reason = await started;
    if (reason) throw new WorkerError(`${reason} (Chromium ${browser.version})`, { kind: "Unavailable" });
    const version = `${versionOf(packageName)} (Chromium ${browser.version.split(".")[0]})`;
    return { layout: "flat", name, version, devices: ["cpu"] };
  }

  async function load(request) {
    loaded = false;
    const begin = performance.now();
    fs.accessSync(request.model); // or the page's error would be about an address
    server.readable.model = request.model;
    const external = {};
    for (const [place, file] of (request.external ?? []).entries()) {
      external[path.basename(file)] = `external-${place}`;
      server.readable[`external-${place}`] = file;
    }
    try {
      await ask("load", { external });
    } finally {
      for (const name of ["model", ...Object.values(external)]) delete server.readable[name];
    }
    loaded = true;
    return { seconds: (performance.now() - begin) / 1000 };
  }

  async function run({ inputs, outputs, feeds, fetches, repeats }) {
    if (!loaded) throw new WorkerError("run without a loaded model");
    server.readable.inputs = inputs;
    server.writable.outputs = outputs;
    try {
      return await ask("run", { feeds, fetches, repeats });
    } finally {
      delete server.readable.inputs;
      delete server.writable.outputs;
    }
  }

  async function unload() {
    loaded = false;
    await ask("unload");
    return {};
  }

  async function close() {
    await browser?.close();
    server.close();
  }

  await serve({ hello, load, run, unload }, close);
}

// A page that has crashed is a crash of the runtime: this process ends with it.
function gone(reason) {
  console.error(reason);
  process.exit(1);
}
