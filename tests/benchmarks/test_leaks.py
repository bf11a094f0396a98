"""Loading, running and unloading small models again and again leaves no memory behind in the C++ harness."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.leaks import growth, resident
from tests.building.talking import Worker, script, write_inputs
from tests.building.test_harness_threads import Work, echo, products, start  # noqa: F401 (a fixture)

pytestmark = [
    pytest.mark.compiles,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning"),
]

LOADS = 60
# Bytes a load. Real engines were measured at LIMIT_MEASURED; a model that stays would be ten times as much.
LIMIT = 64 * 1024


def rounds(worker: Worker, model: str, value: torch.Tensor, flat: bool) -> list[int]:
    """The worker's memory after each load, run and unload."""
    file = str(write_inputs(worker.folder / "in.safetensors", {"x": value}))
    how = {"feeds": [["x", "x"]], "fetches": ["y"]} if flat else {"args": [{"tensor": "x"}], "kwargs": []}
    memory = []
    for _ in range(LOADS):
        worker.get("load", model=model)
        worker.get("run", inputs=file, outputs=str(worker.folder / "out"), repeats=2, **how)
        worker.get("unload")
        memory.append(resident(worker.process.pid))
    return memory


def test_a_leak_is_seen(start: Callable[[str], Worker], tmp_path: Path) -> None:  # noqa: F811
    worker = echo(start, tmp_path, "leaks")
    found = growth(rounds(worker, str(tmp_path / "model.txt"), torch.zeros(3), flat=False))
    assert found == pytest.approx(2**20, rel=0.05)
    assert found > LIMIT


def test_what_has_no_leak_does_not_grow(start: Callable[[str], Worker], tmp_path: Path) -> None:  # noqa: F811
    worker = echo(start, tmp_path)
    assert growth(rounds(worker, str(tmp_path / "model.txt"), torch.zeros(3), flat=False)) < 4096


@pytest.mark.parametrize("engine", ["libtorch", "ort", "openvino"])
def test_the_engines_do_not_grow(engine: str, start: Callable[[str], Worker], tmp_path: Path) -> None:  # noqa: F811
    worker = start(engine)
    if engine == "libtorch":
        memory = rounds(worker, script(Work(), tmp_path / "m.pt"), torch.rand(2, 3, 12, 12), flat=False)
    else:
        memory = rounds(worker, products(tmp_path / "m.onnx"), torch.rand(3, 64), flat=True)
    print(engine, growth(memory), [m >> 10 for m in memory[::10]])
    assert growth(memory) < LIMIT
