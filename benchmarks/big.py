"""A model of so many GB in each format and runtime: seconds, verdict, and the most memory that each process takes.

A case is written whose model is an embedding and linear layers in float32, in Python and (for `state-dict`) in C++.
Before each request to a process the kernel is told to forget its peak (/proc/PID/clear_refs); after it, the peak is
read (VmHWM in /proc/PID/status). It counts pages of mapped files, too, which the kernel may take back.

The last column is the process's largest peak, less what it took before its first request (its frameworks), as multiples
of the model's bytes. The goal is 2.3.

    python benchmarks/big.py --gb 0.4 [--formats onnx,export] [--runtimes ort,ort-cpp] [--layers 12]

Models below 1 GB are small to us: `--as-big` has them go the way of big ones. Linux only.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from pytest_modelconform.cache.store import Cache
from pytest_modelconform.cells.pipeline import Pipeline
from pytest_modelconform.cells.pool import Pool, threads
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.worker import Worker
from pytest_modelconform.terms.cell import CaseRef, Cell

FORMATS = ("onnx", "onnx-legacy", "export", "torchscript-trace", "torchscript-script", "state-dict")
GOAL = 2.3
SECONDS = 3600.0
CASE = """\
import torch
from torch import nn
from pytest_modelconform import Case

WIDTH, LAYERS, WORDS = {width}, {layers}, {words}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, 64)

    def forward(self, indices):
        x = self.words(indices)
        for layer in self.layers:
            x = x + torch.relu(layer(x))
        return self.head(x)


big = Case(
    model=lambda: Net(),
    inputs={{
        "two": lambda: (torch.randint(0, WORDS, (2, 3)),),
        "one": lambda: (torch.randint(0, WORDS, (1, 3)),),
    }},
    dynamic_shapes={{"indices": {{0: "batch"}}}},
    cpp="net.cpp",
)
"""
SOURCE = """\
#include <modelconform/frontend.h>

struct NetImpl : torch::nn::Module {{
  NetImpl()
      : words(register_module("words", torch::nn::Embedding({words}, {width}))),
        layers(register_module("layers", torch::nn::ModuleList())),
        head(register_module("head", torch::nn::Linear({width}, 64))) {{
    for (int i = 0; i < {layers}; ++i) layers->push_back(torch::nn::Linear({width}, {width}));
  }}

  torch::Tensor forward(torch::Tensor indices) {{
    torch::Tensor x = words(indices);
    for (const auto& layer : *layers) x = x + torch::relu(layer->as<torch::nn::Linear>()->forward(x));
    return head(x);
  }}

  torch::nn::Embedding words;
  torch::nn::ModuleList layers;
  torch::nn::Linear head;
}};
TORCH_MODULE(Net);
MODELCONFORM_MODEL(Net)
"""


def write_case(folder: Path, size: float, layers: int) -> tuple[Path, int]:
    """Write a case whose model has `size` bytes, more or less; the file, and the bytes that it has."""
    # The embedding is as large as a layer.
    width = max(64, int((size / 4 / (layers + 1)) ** 0.5) // 64 * 64)
    shape = {"width": width, "layers": layers, "words": width}
    (folder / "big.py").write_text(CASE.format(**shape))
    (folder / "net.cpp").write_text(SOURCE.format(**shape))
    parameters = width * width + layers * (width * width + width) + 64 * (width + 1)
    return folder / "big.py", 4 * parameters


def peak(pid: int | str) -> int:
    """Bytes of the most memory that a process had since `forget_peak`. 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def forget_peak(pid: int) -> None:
    """Begin anew with a process's peak, where the kernel lets us."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        return


class Peaks:
    """By process and request, the largest peak in bytes; hooked into `Worker.ask`."""

    def __init__(self) -> None:
        self.base: dict[str, int] = {}
        self.found: dict[tuple[str, str], int] = defaultdict(int)
        self._ask = Worker.ask

    def install(self) -> None:
        Worker.ask = lambda worker, *args, **fields: self.ask(worker, *args, **fields)  # type: ignore[method-assign]

    def ask(self, worker: Worker, op: str, timeout: float, **fields: Any) -> dict[str, Any]:
        forget_peak(worker.pid)
        what = f"{op} {fields['format']}" if op == "export" and "format" in fields else op
        try:
            return self._ask(worker, op, timeout, **fields)
        finally:
            found = peak(worker.pid)
            self.found[worker.name, what] = max(self.found[worker.name, what], found)
            if op == "hello":
                self.base[worker.name] = found

    def of(self, name: str) -> tuple[int, str]:
        """A process's largest peak, and the request."""
        return max((value, what) for (worker, what), value in self.found.items() if worker == name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=0.4)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--runtimes", default="")
    parser.add_argument("--as-big", action="store_true", help="go the way of models of 1 GB and more")
    arguments = parser.parse_args()
    if arguments.as_big:
        os.environ["MODELCONFORM_EXTERNAL_DATA"] = str(2**20)
        # Without it glibc keeps blocks of up to 32 MB when they are freed, and a large model's tensors are larger.
        os.environ["MALLOC_MMAP_THRESHOLD_"] = str(2**20)
        os.environ["MODELCONFORM_LARGE_MODEL"] = str(2**20)
    registry = Registry()
    register_built_in(registry)
    watch = Peaks()
    watch.install()
    with tempfile.TemporaryDirectory(prefix="modelconform-big-") as temporary:
        file, size = write_case(Path(temporary), arguments.gb * 1e9, arguments.layers)
        cache = Cache(Path(os.environ.get("MODELCONFORM_CACHE", "") or Path(temporary) / "cache"))
        pool = Pool(registry, cache.folder, [], threads(1), 1, False, lambda text: print(text, flush=True))
        pipeline = Pipeline(registry, cache, pool, SECONDS)
        ref = CaseRef(file, file.name, "big")
        wanted = [name for name in arguments.runtimes.split(",") if name]
        cells = registry.cells(
            file.name, "big", arguments.formats.split(","), wanted or registry.runtimes, ["cpu"], has=("cpp",)
        )
        count = arguments.layers + 1
        print(f"a model of {size / 1e9:.2f} GB in {count} tensors of {size / count / 1e6:.0f} MB", flush=True)
        begin = time.perf_counter()
        check = pipeline.check(ref)
        print(
            f"{'[eager]':46} {time.perf_counter() - begin:7.1f} s  {check.verdict.value} {check.message[:300]}",
            flush=True,
        )
        for cell in cells:
            tell(pipeline, ref, cell)
        pipeline.close()
        pool.close()
    print(f"\n{'process':34} {'before':>8} {'peak':>8}  at                          x model  x model, less before")
    for name, before in sorted(watch.base.items()):
        for (worker, what), value in sorted(watch.found.items(), key=lambda item: -item[1]):
            if worker == name and what != "hello":
                ratio, less = value / size, (value - before) / size
                sign = "  > goal" if less > GOAL else ""
                print(f"{name:34} {before / 1e6:6.0f}MB {value / 1e6:6.0f}MB  {what:26} {ratio:8.2f} {less:8.2f}{sign}")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{'this process (as pytest)':34} {'':8} {own / 1e6:6.0f}MB")


def tell(pipeline: Pipeline, ref: CaseRef, cell: Cell) -> None:
    """Run a cell and print a line."""
    begin = time.perf_counter()
    outcome = pipeline.run(ref, cell)
    seconds = time.perf_counter() - begin
    first = outcome.message.splitlines()[0][:200] if outcome.message and not outcome.passed else ""
    print(f"{cell.id:46} {seconds:7.1f} s  {outcome.verdict.value} {first}", flush=True)


if __name__ == "__main__":
    main()
