// What a page gets and gives, over HTTP on this machine alone: models and tensors are too large for DevTools' messages.
// All is below a random token, since other users' programs can reach the port, too.

import { randomBytes } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { pipeline } from "node:stream/promises";

const TYPES = {
  ".js": "text/javascript",
  ".html": "text/html; charset=utf-8",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};
const HEADERS = {
  // A page that isn't isolated has no SharedArrayBuffer, and so no threads in WebAssembly.
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "no-store",
};

export class Server {
  // folders: name -> folder whose files (not those in folders below) the page may get as NAME/FILE.
  constructor(folders) {
    this.folders = folders;
    // What the page reads and writes at present: name -> path.
    this.readable = {};
    this.writable = {};
    this.token = randomBytes(16).toString("hex");
  }

  // Listen; returns the address of "/TOKEN/".
  async start() {
    this.server = http.createServer((request, response) => {
      this.#answer(request, response).catch((error) => {
        console.error(`${request.method} of the page: ${error.message}`);
        if (!response.headersSent) response.writeHead(500, HEADERS);
        response.end();
      });
    });
    // Writing hundreds of megabytes may take its time.
    this.server.requestTimeout = 0;
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${this.server.address().port}/${this.token}/`;
  }

  close() {
    this.server.close();
    this.server.closeAllConnections();
  }

  async #answer(request, response) {
    const [, token, ...rest] = new URL(request.url, "http://127.0.0.1").pathname.split("/");
    const name = rest.join("/");
    if (token !== this.token) return refuse(response);
    if (request.method === "PUT" && Object.hasOwn(this.writable, name)) {
      await pipeline(request, fs.createWriteStream(this.writable[name], { mode: 0o600 }));
      response.writeHead(204, HEADERS).end();
      return undefined;
    }
    const file = request.method === "GET" && this.#file(rest, name);
    if (!file || !fs.existsSync(file)) return refuse(response);
    const type = TYPES[path.extname(file)] ?? "application/octet-stream";
    response.writeHead(200, { ...HEADERS, "Content-Type": type, "Content-Length": fs.statSync(file).size });
    return pipeline(fs.createReadStream(file), response);
  }

  #file(parts, name) {
    if (Object.hasOwn(this.readable, name)) return this.readable[name];
    const [folder, base] = parts;
    const known = parts.length === 2 && Object.hasOwn(this.folders, folder) && path.extname(base) in TYPES;
    return known && base === path.basename(base) ? path.join(this.folders[folder], base) : null;
  }
}

function refuse(response) {
  response.writeHead(404, HEADERS).end();
}
