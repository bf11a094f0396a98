"""What the older ONNX exporter is told to call things."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pytest_modelconform.formats import onnx_legacy
from pytest_modelconform.formats.onnx import FUNCTION
from pytest_modelconform.workers.host.build import build
from tests.support import runs

SOURCE = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def forward(self, output_0, output_1_):
        return output_0 + 1, output_1_ * 2


case = Case(model=lambda: Net(), inputs={"a": lambda: (torch.rand(3), torch.rand(3))}, fixed_inputs="small")
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("options", "inputs", "outputs"),
    [
        ({}, ["output_0", "output_1_"], ["output_0_", "output_1"]),
        ({"input_names": ["output_1", "x"]}, ["output_1", "x"], ["output_0", "output_1_"]),
    ],
)
def test_no_output_has_the_name_of_an_input(
    options: dict[str, list[str]], inputs: list[str], outputs: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    path = runs.case_file(tmp_path, "named_output", SOURCE)
    built = build(str(path), path.name, path.stem)
    built = dataclasses.replace(built, output_paths=["/0", "/1"], options={FUNCTION: options})
    signature = onnx_legacy.export(built, tmp_path)
    assert [value["name"] for value in signature["inputs"]] == inputs
    assert [value["name"] for value in signature["outputs"]] == outputs
