"""What the plugin adds to one warm cell: its wall time less the seconds that the runtime reports for load and runs.

Two cases with the same tiny model, with outputs of 64 and of a million elements, in every usual runtime: the first
gives the fixed overhead, the difference the cost of an element. References and artifacts are made first and not
counted.

    python benchmarks/overhead.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from pytest_modelconform.cache.store import Cache, default_folder
from pytest_modelconform.cells.pipeline import Pipeline
from pytest_modelconform.cells.pool import Pool, threads
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.stages import Budget
from pytest_modelconform.cells.worker import Worker
from pytest_modelconform.terms.cell import CaseRef
from pytest_modelconform.terms.outcome import Verdict

CASE = """
import torch
from pytest_modelconform import Case

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(0.5, 1.5, 64))

    def forward(self, x):
        return torch.tanh(x * self.weight)

small = Case(model=lambda: Net(), inputs={"one": lambda: (torch.randn(1, 64),)})
large = Case(model=lambda: Net(), inputs={"one": lambda: (torch.randn(15625, 64),)})
"""
SMALL, LARGE = 64, 1_000_000


class Stopwatch:
    """Adds up the seconds that workers report for their own work."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._ask = Worker.ask

    def ask(self, worker: Worker, op: str, timeout: float, **fields: Any) -> dict[str, Any]:
        answer = self._ask(worker, op, timeout, **fields)
        self.seconds += answer.get("seconds", 0.0) + sum(run["seconds"] for run in answer.get("runs", ()))
        return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", metavar="FILE", type=Path)
    options = parser.parse_args()
    repeats = options.repeats
    rows: list[dict[str, Any]] = []
    registry = Registry()
    register_built_in(registry)
    watch = Stopwatch()
    Worker.ask = lambda worker, *args, **fields: watch.ask(worker, *args, **fields)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "overhead.py"
        file.write_text(CASE)
        cache = Cache(default_folder())
        pool = Pool(registry, cache.folder, [], threads(1), 1, False, print)
        pipeline = Pipeline(registry, cache, pool, 300)
        refs = {name: CaseRef(file, file.name, name) for name in ("small", "large")}
        formats = [name for name in registry.select_formats(()) if not registry.format(name).NEEDS]
        runtimes = registry.select_runtimes(())
        cells = {name: registry.cells(file.name, name, formats, runtimes, ["cpu"]) for name in refs}
        print(f"{'format':20} {'runtime':14} {'ms a cell':>10} {'ns an element':>14}  (medians of {repeats})")
        for small, large in zip(cells["small"], cells["large"], strict=True):
            found: dict[str, list[float]] = {"small": [], "large": []}
            for _ in range(repeats + 2):
                for name, cell in (("small", small), ("large", large)):
                    pipeline.exports.prepare(refs[name], Budget(300, pool))
                    watch.seconds = 0.0
                    begin = time.perf_counter()
                    outcome = pipeline.run(refs[name], cell)
                    found[name].append(time.perf_counter() - begin - watch.seconds)
                    if outcome.verdict is not Verdict.PASS:
                        raise SystemExit(f"{cell.id}: {outcome.verdict.value}: {outcome.message}")
            # The first two rounds export, start workers and warm caches.
            fixed, whole = (statistics.median(values[2:]) for values in found.values())
            slope = (whole - fixed) / (LARGE - SMALL)
            print(f"{small.format:20} {small.runtime:14} {fixed * 1e3:10.1f} {slope * 1e9:14.1f}")
            row = {"format": small.format, "runtime": small.runtime, "ms": fixed * 1e3, "ns_an_element": slope * 1e9}
            rows.append(row)
        pipeline.close()
        pool.close()
    if options.json is not None:
        options.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
