// What `load`, `run` and `unload` are for a runtime that takes and returns tensors by graph input and output name. Runs in
// Node and in a page.

import { bytes, clone } from "./tensors.mjs";

// Whether two tensors have the same dtype, shape and bytes.
export function sameBits(a, b) {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join() || a.data.byteLength !== b.data.byteLength) return false;
  const [first, second] = [bytes(a), bytes(b)];
  // As many 8-byte words as there are, if they are aligned: a loop over bytes takes seconds for large tensors.
  const words = first.byteOffset % 8 || second.byteOffset % 8 ? 0 : Math.floor(first.length / 8);
  const long = (x) => new BigUint64Array(x.buffer, x.byteOffset, words);
  const [longFirst, longSecond] = [long(first), long(second)];
  for (let i = 0; i < words; i++) if (longFirst[i] !== longSecond[i]) return false;
  for (let i = words * 8; i < first.length; i++) if (first[i] !== second[i]) return false;
  return true;
}

// Run a model as often as asked, on cloned inputs. model: async (feeds, fetches) => {tensors, seconds}, where feeds is
// an object by graph input and tensors are in the order of `fetches`. source: the inputs' file, Map of key -> tensor.
// Returns the answer to `run`, and a Map of the tensors that it names.
export async function run(model, source, { feeds, fetches, repeats }) {
  const results = [];
  const runs = [];
  const outputs = new Map();
  let given = {};
  for (let repeat = 0; repeat < repeats; repeat++) {
    given = {};
    for (const [name, key] of feeds) {
      if (!source.has(key)) throw new Error(`the inputs' file has no tensor ${key}`);
      given[name] = clone(source.get(key));
    }
    const { tensors, seconds } = await model(given, fetches);
    const same = results.findIndex((earlier) => earlier.every((tensor, i) => sameBits(tensor, tensors[i])));
    results.push(tensors);
    if (same >= 0) {
      runs.push({ seconds, same_as: same });
      continue;
    }
    const keys = fetches.map((name) => `${repeat}/${name}`);
    keys.forEach((key, i) => outputs.set(key, tensors[i]));
    runs.push({ seconds, outputs: { dict: fetches.map((name, i) => [name, { tensor: keys[i] }]) } });
  }
  const changed = feeds.filter(([name, key]) => !sameBits(given[name], source.get(key))).map(([, key]) => key);
  return { answer: { runs, inputs_changed: changed }, outputs };
}
