// The wire's tensor files, which are safetensors with what these can't say in their metadata: see "Tensor files" in
// docs/architecture.md. What is refused here is refused by the Python and the C++ reader, too. Runs in Node and in a page.

import { parseObject } from "./json.mjs";

const METADATA = "modelconform";
export const LARGEST_HEADER = 100_000_000;

// float16 is bits where there is no Float16Array; bfloat16 and float8 always are.
const Half = globalThis.Float16Array ?? Uint16Array;

// PyTorch's name of a dtype -> [name in the file, array of its elements, how many of these an element has].
export const DTYPES = new Map([
  ["bool", ["BOOL", Uint8Array, 1]],
  ["uint8", ["U8", Uint8Array, 1]],
  ["int8", ["I8", Int8Array, 1]],
  ["uint16", ["U16", Uint16Array, 1]],
  ["int16", ["I16", Int16Array, 1]],
  ["uint32", ["U32", Uint32Array, 1]],
  ["int32", ["I32", Int32Array, 1]],
  ["uint64", ["U64", BigUint64Array, 1]],
  ["int64", ["I64", BigInt64Array, 1]],
  ["float16", ["F16", Half, 1]],
  ["bfloat16", ["BF16", Uint16Array, 1]],
  ["float32", ["F32", Float32Array, 1]],
  ["float64", ["F64", Float64Array, 1]],
  ["complex64", ["F32", Float32Array, 2]],
  ["complex128", ["F64", Float64Array, 2]],
  ["float8_e4m3fn", ["U8", Uint8Array, 1]],
  ["float8_e5m2", ["U8", Uint8Array, 1]],
]);
// Names that newer files may use for what we store under another one.
const OWN = new Map([
  ["C64", "complex64"],
  ["C128", "complex128"],
  ["F8_E4M3", "float8_e4m3fn"],
  ["F8_E5M2", "float8_e5m2"],
]);
const PLAIN = new Map();
for (const [name, [stored, , pairs]] of DTYPES) {
  if (pairs === 1 && !name.startsWith("float8")) PLAIN.set(stored, name);
}

export class TensorFileError extends Error {
  name = "TensorFileError";
}

// Bytes of an element in a file.
function width(dtype) {
  const [, Elements, pairs] = DTYPES.get(dtype);
  return Elements.BYTES_PER_ELEMENT * pairs;
}

// The bytes of a tensor's data, row-major, without copying.
export function bytes(tensor) {
  return new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
}

// A tensor {dtype, shape, data, order} with data of its own. order: dimensions from the slowest to the fastest stride, or
// null for a row-major tensor; data is row-major in any case.
export function clone(tensor) {
  return { ...tensor, data: tensor.data.slice() };
}

// Length of a file's header, from its first 8 bytes and its size. Throws TensorFileError.
export function headerLength(start, total) {
  if (total < 8) throw new TensorFileError(`${total} bytes are not a tensor file`);
  const length = new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(Math.min(total - 8, LARGEST_HEADER))) {
    throw new TensorFileError(`a header of ${length} bytes in a file of ${total}`);
  }
  return Number(length);
}

// What a header says: Map of key -> {dtype, shape, order, begin, end}, offsets into `size` bytes of data.
export function parseHeader(text, size) {
  let header, extra;
  try {
    header = parseObject(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(text));
    const metadata = header.get("__metadata__") ?? (header.has("__metadata__") ? null : new Map());
    header.delete("__metadata__");
    if (!(metadata instanceof Map)) throw new Error("__metadata__ isn't an object");
    extra = parseObject(metadata.has(METADATA) ? metadata.get(METADATA) : "{}");
  } catch (error) {
    throw new TensorFileError(`the header is not the expected JSON: ${error.message}`);
  }
  for (const [key, more] of extra) {
    if (!header.has(key) || !(more instanceof Map)) {
      throw new TensorFileError(`metadata of ${JSON.stringify(key)}, which isn't one of its tensors, or isn't an object`);
    }
  }
  const found = new Map();
  for (const [key, entry] of header) {
    if (!(entry instanceof Map)) throw new TensorFileError(`tensor ${JSON.stringify(key)} isn't an object`);
    found.set(key, parseTensor(entry, extra.get(key) ?? new Map(), size));
  }
  checkCovering([...found.values()], size);
  return found;
}

function sizes(entry, field) {
  const values = entry.get(field);
  if (!Array.isArray(values) || values.some((v) => typeof v !== "bigint" || v < 0n || v >= 2n ** 63n)) {
    throw new TensorFileError(`impossible ${field} ${show(values)}`);
  }
  return values;
}

function show(value) {
  return JSON.stringify(value, (_, v) => (typeof v === "bigint" ? Number(v) : v instanceof Map ? [...v] : v));
}

function parseTensor(entry, more, size) {
  const stored = entry.get("dtype");
  let shape = sizes(entry, "shape");
  const offsets = sizes(entry, "data_offsets");
  let dtype = PLAIN.get(stored) ?? OWN.get(stored);
  if (dtype === undefined) throw new TensorFileError(`unknown dtype ${show(stored)}`);
  if (more.has("dtype")) {
    dtype = more.get("dtype");
    if (!DTYPES.has(dtype) || DTYPES.get(dtype)[0] !== stored) {
      throw new TensorFileError(`a ${stored} tensor can't hold ${show(dtype)}`);
    }
    if (DTYPES.get(dtype)[2] === 2) {
      if (shape.at(-1) !== 2n)
        throw new TensorFileError(`complex tensor without a last dimension of 2: ${show(shape)}`);
      shape = shape.slice(0, -1);
    }
  }
  // Dimensions of 0 count as 1, so that strides fit into 64 bits, too.
  let most = BigInt(width(dtype));
  let expected = most;
  for (const length of shape) {
    most *= length > 1n ? length : 1n;
    expected *= length;
    if (most >= 2n ** 63n) throw new TensorFileError(`shape ${show(shape)} of ${dtype} overflows`);
  }
  const [begin, end] = offsets;
  if (offsets.length !== 2 || begin > end || end > BigInt(size) || end - begin !== expected) {
    throw new TensorFileError(`offsets ${show(offsets)} do not fit shape ${show(shape)} of ${dtype}`);
  }
  let order = null;
  if (more.has("order")) {
    order = sizes(more, "order").map(Number);
    if (order.length !== shape.length || shape.some((_, i) => !order.includes(i))) {
      throw new TensorFileError(`order ${show(order)} isn't a permutation of ${shape.length} dimensions`);
    }
  }
  // A size that a Number can't hold, which only an empty tensor can have, stays a BigInt.
  const exact = shape.map((length) => (length <= Number.MAX_SAFE_INTEGER ? Number(length) : length));
  return { dtype, shape: exact, order, begin: Number(begin), end: Number(end) };
}

// Each byte belongs to one tensor: an overlap or a hole is a sign of a broken writer.
function checkCovering(entries, size) {
  let last = 0;
  for (const { begin, end } of entries.sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== last) {
      const what = begin < last ? "belong to two tensors" : "belong to no tensor";
      throw new TensorFileError(`bytes ${Math.min(begin, last)} to ${Math.max(begin, last)} of the data ${what}`);
    }
    last = end;
  }
  if (last !== size) throw new TensorFileError(`the last ${size - last} bytes of the data belong to no tensor`);
}

// A tensor of an entry of the header, on a buffer that holds its bytes alone.
export function fromBytes({ dtype, shape, order }, buffer) {
  return { dtype, shape, order, data: new (DTYPES.get(dtype)[1])(buffer) };
}

// The header of a file of these tensors (Map of key -> tensor), with its length before it. The data follow in order.
export function makeHeader(tensors) {
  const entries = [];
  // Without a prototype, since a key may be called like a part of one.
  const extra = Object.create(null);
  let offset = 0;
  for (const [key, { dtype, shape, data, order }] of tensors) {
    const [stored, , pairs] = DTYPES.get(dtype) ?? [];
    if (stored === undefined) throw new TensorFileError(`tensor ${key}: the wire knows no dtype ${dtype}`);
    const expected = shape.reduce((product, length) => product * BigInt(length), BigInt(width(dtype)));
    if (BigInt(data.byteLength) !== expected) {
      throw new TensorFileError(`tensor ${key} has ${data.byteLength} bytes, its shape needs ${expected}`);
    }
    const sizes = pairs === 2 ? [...shape, 2] : shape;
    const end = offset + data.byteLength;
    entries.push(`${JSON.stringify(key)}:{"dtype":"${stored}","shape":[${sizes}],"data_offsets":[${offset},${end}]}`);
    offset = end;
    const more = {};
    if (PLAIN.get(stored) !== dtype) more.dtype = dtype;
    if (order) more.order = order;
    if (Object.keys(more).length) extra[key] = more;
  }
  if (Object.keys(extra).length) {
    entries.push(`"__metadata__":${JSON.stringify({ [METADATA]: JSON.stringify(extra) })}`);
  }
  const text = new TextEncoder().encode(`{${entries}}`);
  const padded = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(32);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  padded.set(text, 8);
  return padded;
}

// All tensors of a whole file in memory. Throws TensorFileError.
export function parse(buffer) {
  const start = new Uint8Array(buffer, 0, Math.min(8, buffer.byteLength));
  const begin = 8 + headerLength(start, buffer.byteLength);
  const header = parseHeader(new Uint8Array(buffer, 8, begin - 8), buffer.byteLength - begin);
  const found = new Map();
  for (const [key, entry] of header) {
    found.set(key, fromBytes(entry, buffer.slice(begin + entry.begin, begin + entry.end)));
  }
  return found;
}
