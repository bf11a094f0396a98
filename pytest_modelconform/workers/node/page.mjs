// The page of web.mjs: loads and runs models with an engine. Models and tensors come and go over HTTP.

import * as flat from "./flat.mjs";
import { bytes, makeHeader, parse } from "./tensors.mjs";

const base = new URL("../", import.meta.url);
let engine = null;
let loaded = null;

async function get(name) {
  const response = await fetch(new URL(name, base));
  if (!response.ok) throw new Error(`${name}: status ${response.status}`);
  return response.arrayBuffer();
}

const operations = {
  // engine: a module beside this one, with
  //   start(request, base): why a model can't be run here, or an empty string
  //   load(address, request): {model, release}, the first as in flat.mjs, the second ends it; request.external has the
  //     addresses of further files of the model, by name
  async start(request) {
    if (request.threads > 1 && !globalThis.crossOriginIsolated)
      return "the page is not isolated, and so has no threads";
    engine = await import(new URL(request.engine, import.meta.url));
    return engine.start(request, base);
  },

  async load(request) {
    await operations.unload();
    const external = {};
    for (const [name, place] of Object.entries(request.external ?? {})) external[name] = new URL(place, base).href;
    loaded = await engine.load(new URL("model", base).href, { ...request, external });
    return null;
  },

  async run(request) {
    const { answer, outputs } = await flat.run(loaded.model, parse(await get("inputs")), request);
    const body = new Blob([makeHeader(outputs), ...[...outputs.values()].map(bytes)]);
    const response = await fetch(new URL("outputs", base), { method: "PUT", body });
    if (!response.ok) throw new Error(`outputs: status ${response.status}`);
    return answer;
  },

  async unload() {
    const last = loaded;
    loaded = null;
    await last?.release();
    return null;
  },
};

// Called by web.mjs with a JSON text, and answers with one.
globalThis.modelconform = async (operation, request) => {
  try {
    return JSON.stringify({ ok: true, value: await operations[operation](JSON.parse(request)) });
  } catch (error) {
    // WebAssembly's exceptions may be numbers.
    const { name = "", message = String(error), stack = "" } = error ?? {};
    return JSON.stringify({ ok: false, name, message, stack });
  }
};
