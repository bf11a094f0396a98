// A Chromium: $MODELCONFORM_CHROMIUM, one on PATH, or the one that the npm package @sparticuz/chromium carries, with the
// libraries that it needs, compressed.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import zlib from "node:zlib";
import { WorkerError } from "./loop.mjs";
import { packageFolder } from "./handlers.mjs";

const VARIABLE = "MODELCONFORM_CHROMIUM";
const NAMES = ["chromium", "chromium-browser", "google-chrome"];
const PACKAGE = "@sparticuz/chromium";
const MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";

// {program, env}: the executable, and what its environment needs besides ours. Throws WorkerError.
export async function findChromium() {
  const named = process.env[VARIABLE];
  if (named) {
    const found = onPath(named);
    if (!found) throw unavailable(`${VARIABLE} names ${named}, which can't be executed`);
    return { program: found, env: {} };
  }
  for (const name of [...NAMES, ...(process.platform === "darwin" ? [MAC] : [])]) {
    const found = onPath(name);
    if (found) return { program: found, env: {} };
  }
  if (process.platform === "linux" && process.arch === "x64" && fs.existsSync(packageFolder(PACKAGE)))
    return unpacked();
  throw unavailable(`needs a Chromium: install ${NAMES[0]}, or let ${VARIABLE} name one`);
}

function unavailable(reason) {
  return new WorkerError(reason, { kind: "Unavailable" });
}

function onPath(name) {
  const folders = name.includes("/") ? [""] : (process.env.PATH ?? "").split(path.delimiter);
  for (const folder of folders) {
    const file = path.resolve(folder, name);
    try {
      fs.accessSync(file, fs.constants.X_OK);
      if (fs.statSync(file).isFile()) return file;
    } catch {
      // Not here.
    }
  }
  return null;
}

// The package's Chromium, unpacked beside node_modules at its first use.
async function unpacked() {
  const source = packageFolder(PACKAGE);
  const target = path.join(source, "..", "..", "..", "chromium");
  if (!fs.existsSync(target)) {
    // By a name of our own, since others may be doing the same.
    const making = fs.mkdtempSync(`${target}-`);
    try {
      const bin = path.join(source, "bin");
      const { extract } = createRequire(path.join(source, "package.json"))("tar-fs");
      const to = (stream, file) =>
        pipeline(fs.createReadStream(path.join(bin, file)), zlib.createBrotliDecompress(), stream);
      await Promise.all([
        to(fs.createWriteStream(path.join(making, "chromium"), { mode: 0o755 }), "chromium.br"),
        to(extract(path.join(making, "libraries")), "al2023.tar.br"),
        to(extract(making), "swiftshader.tar.br"),
        to(extract(path.join(making, "fonts")), "fonts.tar.br"),
      ]);
      fs.renameSync(making, target);
    } catch (error) {
      fs.rmSync(making, { recursive: true, force: true });
      if (!fs.existsSync(target)) throw error;
    }
  }
  const libraries = [path.join(target, "libraries", "lib"), process.env.LD_LIBRARY_PATH].filter(Boolean).join(":");
  const env = { LD_LIBRARY_PATH: libraries, FONTCONFIG_PATH: path.join(target, "fonts") };
  return { program: path.join(target, "chromium"), env };
}
