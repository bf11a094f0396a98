// Tensor files on a disk.

import fs from "node:fs";
import { TensorFileError, bytes, fromBytes, headerLength, makeHeader, parseHeader } from "./tensors.mjs";

// Most bytes that one system call is asked for: Linux stops at 2 GiB, others earlier.
const CHUNK = 2 ** 30;

// All tensors of a file, Map of key -> tensor, each with a buffer of its own. Throws TensorFileError.
export function read(path) {
  const file = fs.openSync(path, "r");
  try {
    const total = fs.fstatSync(file).size;
    const length = headerLength(readAt(file, 0, Math.min(8, total)), total);
    const header = parseHeader(readAt(file, 8, length), total - 8 - length);
    const found = new Map();
    for (const [key, entry] of header) {
      found.set(key, fromBytes(entry, readAt(file, 8 + length + entry.begin, entry.end - entry.begin).buffer));
    }
    return found;
  } catch (error) {
    if (error instanceof TensorFileError) error.message = `tensor file ${path}: ${error.message}`;
    throw error;
  } finally {
    fs.closeSync(file);
  }
}

// Write tensors, Map of key -> tensor.
export function write(path, tensors) {
  const header = makeHeader(tensors);
  const file = fs.openSync(path, "w", 0o600);
  try {
    for (const part of [header, ...[...tensors.values()].map(bytes)]) {
      for (let at = 0; at < part.length;) at += fs.writeSync(file, part, at, Math.min(CHUNK, part.length - at));
    }
  } finally {
    fs.closeSync(file);
  }
}

function readAt(file, offset, length) {
  const found = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const read = fs.readSync(file, found, at, Math.min(CHUNK, length - at), offset + at);
    if (read === 0) throw new TensorFileError("it became shorter while it was read");
    at += read;
  }
  return found;
}
