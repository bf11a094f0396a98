// The handlers of a worker in Node whose runtime takes and returns tensors by graph input and output name.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { WorkerError, option } from "./loop.mjs";
import * as flat from "./flat.mjs";
import * as files from "./tensor_files.mjs";

const folder = path.resolve(option("environment", "."));
// Loads packages from the environment's node_modules, which are not beside these files.
export const environment = createRequire(path.join(folder, "package.json"));
export const threads = Number(option("threads", "1"));

// The folder of an installed package.
export function packageFolder(name) {
  return path.join(folder, "node_modules", name);
}

// Version of an installed package. Read, since not every package lets its package.json be loaded.
export function versionOf(name) {
  return JSON.parse(fs.readFileSync(path.join(packageFolder(name), "package.json"), "utf-8")).version;
}

// hello: name, version and devices. load: async (request) => {model, release}, the first as in flat.mjs, the second ends it.
export function flatHandlers(hello, load) {
  let loaded = null;
  async function unload() {
    const { release } = loaded ?? {};
    loaded = null;
    await release?.();
  }
  return {
    hello: async () => ({ layout: "flat", ...hello }),
    async load(request) {
      await unload();
      const begin = performance.now();
      loaded = await load(request);
      return { seconds: (performance.now() - begin) / 1000 };
    },
    async run(request) {
      if (!loaded) throw new WorkerError("run without a loaded model");
      const { answer, outputs } = await flat.run(loaded.model, files.read(request.inputs), request);
      files.write(request.outputs, outputs);
      return answer;
    },
    async unload() {
      await unload();
      return {};
    },
  };
}
