"""What the case host says of a small case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_modelconform.workers.host.parts import sketch
from pytest_modelconform.workers.host.parts.source import Unwritable
from tests.workers.host.test_build import built

HEAD = """
import torch
from pytest_modelconform import Case, Export

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("order", torch.arange(3))
        self.scale = torch.nn.Parameter(torch.full((3,), 0.5))

    def forward(self, x):
        return x[:, self.order] * self.scale

def sampled():
    return (torch.tensor([[0.1, 0.2, -0.3], [4.0, 5.0, 6.0]]),)

def no():
    pass
"""
FIELDS = "model=Net, inputs={'one': sampled}, exports={"


def made(tmp_path: Path, exports: str, column: str) -> dict[str, Any]:
    return sketch.make(built(tmp_path, f"{FIELDS}{exports}}}", HEAD), "one", tmp_path, "program", column)


def test_tensors_in_words(tmp_path: Path) -> None:
    found = made(tmp_path, "", "onnx")
    values = {value["name"]: value for value in found["values"]}
    assert {name: (value["kind"], value["pattern"]) for name, value in values.items()} == {
        "x": ("input", ""),
        "self.order": ("buffer", "arange"),
        "self.scale": ("parameter", "full"),
    }
    assert (values["x"]["low"], values["x"]["high"], values["x"]["finite"]) == (pytest.approx(-0.3), 6.0, True)
    assert found["export"] == ""
    assert found["returns"] == ["mul"]


def test_tensors_that_are_kept(tmp_path: Path) -> None:
    made(tmp_path, "", "onnx")
    target = tmp_path / "part.pt"
    shapes = {"x": [1, 2], "self.order": [3]}
    found = sketch.keep(tmp_path, target, shapes, {"self.order": 2})
    assert found == {"texts": {"x": "[[0.1, 0.2]]", "self.order": "[0, 1, 1]"}}
    kept = torch.load(target, weights_only=True)
    assert torch.equal(kept["x"], torch.tensor([[0.1, 0.2]]))


@pytest.mark.parametrize(
    ("exports", "column", "text"),
    [
        ("'onnx': Export(options={'opset_version': 18})", "onnx", "{'opset_version': 18}"),
        ("'onnx@old': Export(options=lambda: {'opset_version': 18})", "onnx@old", "{'opset_version': 18}"),
        ("'onnx@old': Export(options={'opset_version': 18})", "onnx", ""),
    ],
)
def test_options_of_the_export(tmp_path: Path, exports: str, column: str, text: str) -> None:
    assert made(tmp_path, exports, column)["export"] == text


@pytest.mark.parametrize("given", ["make=lambda model, inputs, folder: folder", "options={'hook': no}"])
def test_an_export_of_its_own_cant_be_written(tmp_path: Path, given: str) -> None:
    with pytest.raises(Unwritable, match="an export of its own"):
        made(tmp_path, f"'onnx': Export({given})", "onnx")
