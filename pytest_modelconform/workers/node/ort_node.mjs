// ONNX Runtime's Node binding: native code on the CPU.

import "./float16_bits.mjs";
import { serve } from "./loop.mjs";
import { environment, flatHandlers, threads, versionOf } from "./handlers.mjs";
import { model } from "./ort.mjs";

const ort = environment("onnxruntime-node");

async function load(request) {
  const session = await ort.InferenceSession.create(request.model, {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  return { model: model(ort, session), release: () => session.release() };
}

await serve(flatHandlers({ name: "ort-node", version: versionOf("onnxruntime-node"), devices: ["cpu"] }, load));
