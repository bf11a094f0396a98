// LiteRT.js as an engine of page.mjs.

let litert = null;
let threads = 1;

// LiteRT.js has tensors of these dtypes, which it calls like PyTorch.
const ARRAYS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };

export async function start(request, base) {
  threads = request.threads;
  litert = await import(new URL("litert/index.js", base));
  await litert.loadLiteRt(new URL("litert-wasm/", base).href, { threads: threads > 1 });
  return "";
}

// The tensor as the model takes it. A dimension that the model leaves open is -1: whether LiteRT.js runs such a model is its
// own to say.
function suited(detail, { dtype, shape, data }) {
  const declared = [...detail.shape];
  if (declared.length !== shape.length || declared.some((length, i) => length !== -1 && length !== shape[i])) {
    throw new Error(`input ${detail.name} has the shape [${shape}], the model takes [${declared}]`);
  }
  if (dtype === "int64" && detail.dtype === "int32") {
    const narrow = Int32Array.from(data, Number);
    if (narrow.some((value, i) => BigInt(value) !== data[i])) {
      throw new Error(`input ${detail.name} has integers that 32 bits don't hold, and the model takes int32`);
    }
    return new litert.Tensor(narrow, shape);
  }
  if (dtype !== detail.dtype || !ARRAYS[dtype]) {
    throw new Error(`input ${detail.name} is ${dtype}, the model takes ${detail.dtype}; LiteRT.js has ${known()}`);
  }
  return new litert.Tensor(data, shape);
}

function known() {
  return Object.keys(ARRAYS).join(", ");
}

function asWire(name, tensor, data) {
  const { dtype, layout } = tensor.type;
  if (!ARRAYS[dtype] || !(data instanceof ARRAYS[dtype])) {
    throw new Error(`output ${name}: ${dtype} came as ${data?.constructor?.name}; LiteRT.js has ${known()}`);
  }
  return { dtype, shape: [...layout.dimensions], data: data.slice(), order: null };
}

export async function load(address) {
  const compiled = await litert.loadAndCompile(address, { accelerator: "wasm", cpuOptions: { numThreads: threads } });
  const inputs = compiled.getInputDetails();
  const outputs = compiled.getOutputDetails().map((detail) => detail.name);
  async function model(feeds, fetches) {
    const given = [];
    let returned = [];
    try {
      for (const detail of inputs) {
        if (!feeds[detail.name]) throw new Error(`no input ${detail.name} is given, but ${Object.keys(feeds)}`);
        given.push(suited(detail, feeds[detail.name]));
      }
      const begin = performance.now();
      // By position: outputs that are one tensor have one name, and what is said below then lists it twice.
      returned = await compiled.run(given);
      const seconds = (performance.now() - begin) / 1000;
      const tensors = [];
      for (const name of fetches) {
        const tensor = returned[outputs.indexOf(name)];
        if (!tensor) throw new Error(`LiteRT returned no output ${name}, but ${outputs}`);
        tensors.push(asWire(name, tensor, await tensor.data()));
      }
      return { tensors, seconds };
    } finally {
      // Nothing collects what is in WebAssembly's memory.
      for (const tensor of [...given, ...returned]) if (!tensor.deleted) tensor.delete();
    }
  }
  return { model, release: () => compiled.delete() };
}
