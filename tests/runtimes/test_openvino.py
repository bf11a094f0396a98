"""What OpenVINO needs that others don't."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import runs

pytestmark = pytest.mark.compiles

CORES = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())

# Where the window is larger than the map, OpenVINO refuses what PyTorch and ONNX take.
CASE = """
import torch
from torch.export import Dim
from pytest_modelconform import Case

class Pooled(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.max_pool2d(x.sin(), 3, 2, ceil_mode=True)

pooled = Case(
    model=Pooled,
    inputs={"eight": lambda: (torch.rand(2, 3, 8, 8),), "two": lambda: (torch.rand(1, 3, 2, 2),)},
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=2), 3: Dim("width", min=2)}},
)
"""


@pytest.mark.parametrize("processes", ["0", CORES], ids=["one-process", "one-thread-each"])
def test_a_refused_input_is_an_error_and_spoils_none_behind_it(processes: str, tmp_path: Path) -> None:
    folder = runs.write(tmp_path / "project", {"pooled.py": CASE})
    run = runs.run(
        folder, "-n", processes, "--modelconform-formats=onnx-legacy", runtimes="openvino,openvino-cpp", seconds=900
    )
    for runtime in ("openvino", "openvino_cpp"):
        cell = run.cells[f"pooled[onnx_legacy-{runtime}-cpu]"]
        found = {name: entry["verdict"] for name, entry in cell["inputs"].items()}
        # The exported sizes once more: without the artifact loaded again they fail as those before did.
        assert found == {"eight": "pass", "two": "error", "auto-transposed": "pass", "auto-zeros": "pass"}, runtime
