// The loop of a worker in JavaScript: reads requests, calls handlers, writes answers. What is said here is the wire of
// docs/architecture.md. A worker calls serve(handlers) with an object from operation to (async) function; each takes the
// request and returns the answer.
//
// The process is started through workers/become.py, which has asked the kernel to kill it with its parent and has moved
// the real stdout to the descriptor in MODELCONFORM_WIRE. Without it, what libraries print by console or process.stdout
// still goes to stderr; what native code prints would be on the wire.

import fs from "node:fs";
import { Worker } from "node:worker_threads";

const PROTOCOL = 1;
const LONGEST_LINE = 16 * 2 ** 20;

// An error that a handler words itself: its message is shown without the name of an exception's type.
export class WorkerError extends Error {
  constructor(message, { kind = "", details = "", stage = "" } = {}) {
    super(message);
    Object.assign(this, { kind, details, stage });
  }
}

const wire = Number(process.env.MODELCONFORM_WIRE ?? 1);
const parent = Number(process.env.MODELCONFORM_PARENT ?? process.ppid);
const watchdog = process.env.MODELCONFORM_WATCHDOG;
for (const name of ["WIRE", "PARENT", "WATCHDOG"]) delete process.env[`MODELCONFORM_${name}`];

// The value after "--NAME" on the command line.
export function option(name, otherwise) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
}

// Answer requests until stdin ends or `quit` is asked, then end the process. close: called before.
export async function serve(handlers, close = async () => {}) {
  dieWithParent();
  process.stdout.write = (...args) => process.stderr.write(...args);
  for await (const line of lines(process.stdin)) {
    const { request, answer } = await respond(line, handlers);
    write({ ...answer, id: request?.id ?? null, core_seconds: coreSeconds() });
    if (request?.op === "quit") break;
  }
  await close();
  process.exit(0);
}

// Seconds of processor time that this process has taken since the last call, or since its start.
let counted = 0;
function coreSeconds() {
  const { user, system } = process.cpuUsage();
  const before = counted;
  counted = (user + system) / 1e6;
  return counted - before;
}

async function respond(line, handlers) {
  let request = null;
  try {
    if (line === null) throw new WorkerError(`a request of more than ${LONGEST_LINE >> 20} MiB`);
    request = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
    if (request === null || typeof request !== "object" || !("op" in request)) {
      const said = new TextDecoder().decode(line.subarray(0, 200));
      throw new WorkerError(`a request is a JSON object with an 'op', got: ${said}`);
    }
    return { request, answer: await handle(request, handlers) };
  } catch (error) {
    return { request, answer: { ok: false, error: describe(error) } };
  }
}

async function handle(request, handlers) {
  const { op, protocol } = request;
  if (op === "quit") return { ok: true };
  if (op === "hello" && protocol !== PROTOCOL) {
    throw new WorkerError(`this worker speaks protocol ${PROTOCOL}, not ${protocol}`);
  }
  if (!Object.hasOwn(handlers, op)) {
    throw new WorkerError(`unknown operation '${op}'; known: ${Object.keys(handlers).sort().join(", ")}`);
  }
  const answer = await handlers[op](request);
  return { ...answer, ...(op === "hello" && { protocol: PROTOCOL, language: "JavaScript" }), ok: true };
}

// Anything that was thrown, as the wire's error object. Libraries throw texts and numbers, too.
export function describe(error) {
  if (error instanceof WorkerError) {
    const { kind, message, details, stage } = error;
    return { type: kind, message, details, stage };
  }
  const known = error instanceof Error;
  const details = String((known && error.stack) || "").slice(0, 20000);
  return { type: known ? error.name : "", message: String(known ? error.message : error), details, stage: "" };
}

function write(answer) {
  let text = JSON.stringify(answer) + "\n";
  if (Buffer.byteLength(text) > LONGEST_LINE) {
    const error = { type: "", message: `an answer of more than ${LONGEST_LINE >> 20} MiB`, details: "", stage: "" };
    text = JSON.stringify({ id: answer.id, ok: false, error }) + "\n";
  }
  const data = Buffer.from(text);
  for (let at = 0; at < data.length;) {
    try {
      at += fs.writeSync(wire, data, at);
    } catch (error) {
      if (error.code === "EPIPE") process.exit(0);
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

// Lines of a stream without their ends; null for one that is too long.
async function* lines(stream) {
  let parts = [];
  let length = 0;
  for await (let chunk of stream) {
    for (let end; (end = chunk.indexOf(10)) >= 0; chunk = chunk.subarray(end + 1)) {
      parts.push(chunk.subarray(0, end));
      yield length + end > LONGEST_LINE ? null : Buffer.concat(parts);
      parts = [];
      length = 0;
    }
    length += chunk.length;
    parts = length > LONGEST_LINE ? [] : [...parts, chunk];
  }
}

// See to it that this process does not outlive its parent, even while the main thread is busy.
function dieWithParent() {
  process.on("SIGINT", () => {}); // Ctrl-C is for the parent, which then ends its workers.
  if (process.ppid !== parent) process.exit(1);
  if (!watchdog) return; // Linux: the kernel sees to it.
  const script = `
    const { workerData } = require("node:worker_threads");
    const fs = require("node:fs");
    try {
      while (fs.readSync(workerData, Buffer.alloc(1)) > 0);
    } finally {
      process.kill(process.pid, "SIGKILL");
    }`;
  new Worker(script, { eval: true, workerData: Number(watchdog) }).unref();
}
