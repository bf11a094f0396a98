"""What the signature of the newer ONNX exporter's file says."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pytest_modelconform.formats import onnx
from pytest_modelconform.formats.program import exported
from pytest_modelconform.workers.host.build import build
from tests.support import runs

SOURCE = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def forward(self, x):
        return None, x + 1, x.shape[0], torch.fft.rfft(x)


case = Case(
    model=lambda: Net(),
    inputs={"a": lambda: (torch.rand(3, 6),)},
    dynamic_shapes={"x": {0: "n"}},
    fixed_inputs="small",
)
"""


def test_a_complex_output_behind_others_that_are_no_tensors(tmp_path: Path) -> None:
    path = runs.case_file(tmp_path, "complex_behind", SOURCE)
    built = dataclasses.replace(build(str(path), path.name, path.stem), output_paths=["/1", "/2", "/3"])
    program: Any = SimpleNamespace(exported_program=exported(built))
    signature = onnx._pairs(program, built)
    assert signature["pairs"]
    assert "in the file, output[3] is pairs" in signature["notes"][0]
