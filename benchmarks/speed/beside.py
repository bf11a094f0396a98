"""What a warm cell costs, the plain script and peers, as rows."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pytest_modelconform.cells.registry import Registry

from .measuring import Failed, Measured, Pairs, in_turn, measure
from .peers import Peers
from .table import Row

# docs/performance.md: of a warm cell in ms, and with outputs of a million elements.
CELL_GOAL, LARGE_GOAL = 20.0, 35.0
PLAIN_GOAL = 0.7
# What the plain script does of these: float32, from one thread, without cells of training.
PLAIN_CASES = ("plain/net.py", "text/gpt2.py", "vision/mobilenet_v3.py", "vision/shufflenet_v2.py", "vision/vit.py")
_BUILD = """\
from benchmarks.plain import ENGINES
from pytest_modelconform.building import harness
from pytest_modelconform.cache.store import default_folder
for engine in ENGINES.values():
    harness.executable(engine, default_folder(), print)
"""
PLAIN_CELLS = "task_inference and dtype_float32"


def overhead(cache: Path, repeats: int) -> list[Row]:
    """benchmarks/overhead.py."""
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        file = Path(folder) / "overhead.json"
        command = [sys.executable, "benchmarks/overhead.py", "--repeats", str(repeats), "--json", str(file)]
        measure(command, env={"MODELCONFORM_CACHE": str(cache)})
        cells = json.loads(file.read_text())
    large = [cell["ms"] + cell["ns_an_element"] for cell in cells]  # of a million elements: 1 ns each is 1 ms
    note = f"{len(cells)} kinds of cells; medians of {repeats}; median of all: "
    small = [cell["ms"] for cell in cells]
    return [
        Row("A warm cell", "the dearest, 64 elements", max(small), "ms", CELL_GOAL,
            f"{note}{statistics.median(small):.1f} ms", {"cells": cells}),
        Row("A warm cell", "the dearest, a million elements", max(large), "ms", LARGE_GOAL,
            f"{note}{statistics.median(large):.1f} ms"),
    ]  # fmt: skip


def plain(registry: Registry, cases: Sequence[str], pairs: int, cache: Path, more: Sequence[str]) -> list[Row]:
    """benchmarks/plain.py beside ours, both with the C++ programs of `cache` and with nothing else cached."""
    formats = [name for name in registry.select_formats(()) if not registry.format(name).NEEDS]
    chosen = ["--modelconform-formats", ",".join(formats), "--modelconform-threads", "0", "-m", PLAIN_CELLS]
    with tempfile.TemporaryDirectory(prefix="speed-") as temporary:
        names = iter(range(1_000_000))

        def new_cache() -> Path:
            made = Path(temporary) / str(next(names))
            made.mkdir()
            (made / "harness").symlink_to(cache / "harness")
            return made

        def theirs() -> Measured:
            made = new_cache()
            env = {"MODELCONFORM_CACHE": str(made), "TORCHINDUCTOR_CACHE_DIR": str(made / "inductor")}
            return measure([sys.executable, "benchmarks/plain.py", *cases], env=env)

        def ours() -> Measured:
            command = [sys.executable, "-m", "pytest", "--modelconform", *cases, *more, *chosen]
            return measure([*command, "--modelconform-cache", str(new_cache())], statuses=(0, 1))

        (cache / "harness").mkdir(exist_ok=True)
        measure([sys.executable, "-c", _BUILD], env={"MODELCONFORM_CACHE": str(cache)})
        found = in_turn(ours, theirs, pairs)
    return [_row("The plain script", "the same exports, loads and runs", found, PLAIN_GOAL)]


PEERS: dict[str, tuple[str, Callable[[Peers], Pairs]]] = {
    "executorch": ("ExecuTorch's suite", Peers.executorch),
    "polygraphy": ("torch.onnx.export, Polygraphy", Peers.polygraphy),
    "polygraphy-alone": ("Polygraphy alone; ours cached", Peers.polygraphy_alone),
    "verification": ("torch.onnx.verification", Peers.verification),
}


def peers(chosen: Sequence[str], tools: Peers) -> Iterator[Row]:
    """Each of the chosen ones beside ours; one that can't be measured says why."""
    section = f"Peers: {', '.join(tools.models)}; static and dynamic sizes"
    for key in chosen:
        name, run = PEERS[key]
        try:
            yield _row(section, name, run(tools), 1.0)
        except Failed as failure:
            yield Row(section, f"ours / theirs: {name}", None, "×", 1.0, str(failure))


def _row(section: str, name: str, found: Pairs, goal: float) -> Row:
    sides = {"ours": found.ours, "theirs": found.theirs}
    said = [
        f"{side} {statistics.median(one.wall for one in each):.1f} s "
        f"({statistics.median(one.core_seconds for one in each):.0f} core-seconds)"
        for side, each in sides.items()
    ]
    details = {
        side: [{"wall": one.wall, "core_seconds": one.core_seconds} for one in each] for side, each in sides.items()
    }
    note = f"{', '.join(said)}; pairs: {len(found.ours)}"
    return Row(section, f"ours / theirs: {name}", found.ratio, "×", goal, note, details)
