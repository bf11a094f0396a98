// The page of ort_web.mjs: loads and runs models with onnxruntime-web. Models and tensors come and go over HTTP.

import * as flat from "./flat.mjs";
import { model } from "./ort.mjs";
import { bytes, makeHeader, parse } from "./tensors.mjs";

const base = new URL("../", import.meta.url);
let ort = null;
let session = null;

async function get(name) {
  const response = await fetch(new URL(name, base));
  if (!response.ok) throw new Error(`${name}: status ${response.status}`);
  return response.arrayBuffer();
}

const operations = {
  // provider: "wasm" or "webgpu". Returns why a model can't be run here, or an empty string.
  async start({ provider, threads }) {
    if (provider === "webgpu" && !(await navigator.gpu?.requestAdapter())) {
      return navigator.gpu ? "WebGPU has no adapter" : "the browser has no WebGPU";
    }
    ort = await import(new URL(`ort/ort.${provider}.min.mjs`, base));
    ort.env.logLevel = "error";
    ort.env.wasm.wasmPaths = new URL("ort/", base).href;
    ort.env.wasm.numThreads = threads;
    return threads > 1 && !globalThis.crossOriginIsolated ? "the page is not isolated, and so has no threads" : "";
  },

  async load({ provider }) {
    await operations.unload();
    // By address, so that no copy of the model stays in the page.
    const options = { executionProviders: [provider], logSeverityLevel: 3 };
    session = await ort.InferenceSession.create(new URL("model", base).href, options);
    return null;
  },

  async run(request) {
    const { answer, outputs } = await flat.run(model(ort, session), parse(await get("inputs")), request);
    const body = new Blob([makeHeader(outputs), ...[...outputs.values()].map(bytes)]);
    const response = await fetch(new URL("outputs", base), { method: "PUT", body });
    if (!response.ok) throw new Error(`outputs: status ${response.status}`);
    return answer;
  },

  async unload() {
    const last = session;
    session = null;
    await last?.release();
    return null;
  },
};

// Called by ort_web.mjs with a JSON text, and answers with one.
globalThis.modelconform = async (operation, request) => {
  try {
    return JSON.stringify({ ok: true, value: await operations[operation](JSON.parse(request)) });
  } catch (error) {
    // WebAssembly's exceptions may be numbers.
    const { name = "", message = String(error), stack = "" } = error ?? {};
    return JSON.stringify({ ok: false, name, message, stack });
  }
};
