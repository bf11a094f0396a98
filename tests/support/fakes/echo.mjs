// A worker in JavaScript that returns the tensors that it is given, and prints where others must not.

import fs from "node:fs";
import { WorkerError, serve } from "../../../pytest_modelconform/workers/node/loop.mjs";
import * as flat from "../../../pytest_modelconform/workers/node/flat.mjs";
import * as files from "../../../pytest_modelconform/workers/node/tensor_files.mjs";

// Models: what they make of their inputs. The last ones are faults.
const MODELS = {
  echo: (tensors) => tensors,
  changes: (tensors) => {
    tensors[0].data[0] = 1;
    return tensors;
  },
  unstable: (tensors) => {
    tensors[0].data[0] += calls++;
    return tensors;
  },
};
let calls = 0;
let chosen = null;

await serve({
  hello: () => ({ name: "echo", version: "1", layout: "flat", devices: ["cpu"] }),
  load: ({ model }) => {
    chosen = MODELS[model];
    if (!chosen) throw new TypeError(`no model ${model}`);
    return {};
  },
  run: async (request) => {
    // By three ways; the last one is what native code does.
    console.log("printed");
    process.stdout.write("written\n");
    fs.writeSync(1, "put there\n");
    const model = async (feeds, fetches) => {
      const returned = chosen(Object.values(feeds)).slice(0, fetches.length);
      return { tensors: returned.map((tensor) => ({ ...tensor, data: tensor.data.slice() })), seconds: 0.5 };
    };
    const { answer, outputs } = await flat.run(model, files.read(request.inputs), request);
    files.write(request.outputs, outputs);
    return answer;
  },
  refuse: () => {
    throw new WorkerError("said so", { kind: "Refused", details: "trace", stage: "export" });
  },
  number: () => {
    throw 17; // WebAssembly does
  },
  flood: () => ({ much: "x".repeat(17 * 2 ** 20) }),
  hang: () => {
    fs.writeFileSync(process.env.ECHO_HANGS, `${process.pid}`);
    for (;;);
  },
});
