// LiteRT.js in a page of a headless Chromium, by WebAssembly.

import path from "node:path";
import { packageFolder } from "./handlers.mjs";
import { serveInPage } from "./web.mjs";

const PACKAGE = "@litertjs/core";
const folder = packageFolder(PACKAGE);

await serveInPage({
  name: "litert-web",
  provider: "wasm",
  engine: "litert_page.mjs",
  packageName: PACKAGE,
  folders: {
    litert: path.join(folder, "dist"),
    "litert-wasm": path.join(folder, "wasm"),
    "litert-utils": path.join(packageFolder("@litertjs/wasm-utils"), "dist"),
  },
});
