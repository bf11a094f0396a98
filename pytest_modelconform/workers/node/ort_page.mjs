// ONNX Runtime as an engine of page.mjs.

import { external, model } from "./ort.mjs";

let ort = null;

// Why a model can't be run here, or an empty string. provider: "wasm" or "webgpu".
export async function start({ provider, threads }, base) {
  if (provider === "webgpu" && !(await navigator.gpu?.requestAdapter())) {
    return navigator.gpu ? "WebGPU has no adapter" : "the browser has no WebGPU";
  }
  ort = await import(new URL(`ort/ort.${provider}.min.mjs`, base));
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = new URL("ort/", base).href;
  ort.env.wasm.numThreads = threads;
  return "";
}

// The model of an address: no copy of it stays in the page. external: addresses of files with its weights, by name.
export async function load(address, { provider, external: files = {} }) {
  const session = await ort.InferenceSession.create(address, {
    executionProviders: [provider],
    logSeverityLevel: 3,
    ...external(files),
  });
  return { model: model(ort, session), release: () => session.release() };
}
