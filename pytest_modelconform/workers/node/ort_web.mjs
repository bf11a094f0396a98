// ONNX Runtime in a page of a headless Chromium: WebAssembly, or WebGPU with `--provider webgpu`.

import path from "node:path";
import { packageFolder } from "./handlers.mjs";
import { option } from "./loop.mjs";
import { serveInPage } from "./web.mjs";

const PACKAGE = "onnxruntime-web";
const provider = option("provider", "wasm");

await serveInPage({
  name: { wasm: "ort-web", webgpu: "ort-webgpu" }[provider],
  provider,
  engine: "ort_page.mjs",
  packageName: PACKAGE,
  folders: { ort: path.join(packageFolder(PACKAGE), "dist") },
});
