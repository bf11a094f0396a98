// ONNX Runtime's JavaScript API, which is the same in its Node binding and in its WebAssembly build. `ort` is whichever of
// them it is. Runs in Node and in a page.

import { DTYPES } from "./tensors.mjs";

// What ONNX Runtime calls like PyTorch. It has no tensors of bfloat16, complex and float8 numbers in JavaScript.
// prettier-ignore
const KNOWN = new Set(["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16",
  "float32", "float64"]);

// A tensor of the wire as one of ONNX Runtime's, on the same data.
export function toOrt(ort, name, { dtype, shape, data }) {
  if (!KNOWN.has(dtype)) throw new Error(`input ${name}: ONNX Runtime's JavaScript API has no ${dtype} tensors`);
  return new ort.Tensor(dtype, data, shape);
}

// A tensor of ONNX Runtime's as one of the wire, with data of its own: a runtime may hand out buffers of its own.
export function fromOrt(name, tensor) {
  if (!tensor) throw new Error(`ONNX Runtime returned no output ${name}`);
  const { type, dims, data } = tensor;
  if (!KNOWN.has(type)) throw new Error(`output ${name}: ONNX Runtime's JavaScript API has no ${type} tensors`);
  const [, Elements] = DTYPES.get(type);
  if (!(data instanceof Elements)) throw new Error(`output ${name}: ${type} came as ${data?.constructor?.name}`);
  return { dtype: type, shape: [...dims], data: data.slice(), order: null };
}

// Options of a session for files that hold weights of its model: `files` by the names that the model gives them.
export function external(files) {
  const given = Object.entries(files).map(([name, data]) => ({ path: name, data }));
  return given.length ? { externalData: given } : {};
}

// A loaded model as a function for flat.mjs.
export function model(ort, session) {
  return async (feeds, fetches) => {
    const given = {};
    for (const [name, tensor] of Object.entries(feeds)) given[name] = toOrt(ort, name, tensor);
    const begin = performance.now();
    const returned = await session.run(given, fetches);
    const seconds = (performance.now() - begin) / 1000;
    const tensors = fetches.map((name) => fromOrt(name, returned[name]));
    for (const tensor of Object.values(returned)) tensor.dispose?.();
    return { tensors, seconds };
  };
}
