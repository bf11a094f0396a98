// ONNX Runtime's WebAssembly build in Node.

import path from "node:path";
import { serve } from "./loop.mjs";
import { environment, flatHandlers, threads, versionOf } from "./handlers.mjs";
import { external, model } from "./ort.mjs";

const ort = environment("onnxruntime-web");
ort.env.logLevel = "error";
ort.env.wasm.numThreads = threads;

async function load(request) {
  const session = await ort.InferenceSession.create(request.model, {
    executionProviders: ["wasm"],
    logSeverityLevel: 3,
    ...external(Object.fromEntries((request.external ?? []).map((file) => [path.basename(file), file]))),
  });
  return { model: model(ort, session), release: () => session.release() };
}

await serve(flatHandlers({ name: "ort-wasm", version: versionOf("onnxruntime-web"), devices: ["cpu"] }, load));
