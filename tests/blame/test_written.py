"""The text of a small case's file."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from pytest_modelconform.blame.sketch import BUFFER, INPUT, LIKE, PARAMETER, PLAIN, REAL, Choice, Sketch
from pytest_modelconform.blame.written import MOST_LINES, Facts, TooLong, written
from tests.blame.sketches import line, size, value

SAID = ["aten.conv2d: 3.1 of 22.0 significant bits are right in onnx run by ort on cpu.", "Found in net.py."]


def test_a_file() -> None:
    sketch = Sketch(
        values=[
            value("x", INPUT, 8, 16),
            value("self.weight", PARAMETER, 32, 16),
            value("self.mask", BUFFER, 16, low=0.0, high=1.0, dtype="bool", mean=0.27),
        ],
        lines=[
            line("where", "torch.where", "self.mask", "x", "0.0"),
            line("linear", "torch.nn.functional.linear", "where", "self.weight", scale="2.0", other="True"),
        ],
        returns=["linear"],
        sizes=[size(8, 1, x=0), size(32, 2, weight=0)],
    )
    choice = Choice.first(sketch, PLAIN, small=True).without(1, "other")
    assert (
        written(sketch, choice, Facts(said=SAID), {})
        == '''\
"""aten.conv2d: 3.1 of 22.0 significant bits are right in onnx run by ort on cpu.

Found in net.py.
"""

import torch

from pytest_modelconform import Case


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(2, 16))
        self.register_buffer("mask", torch.rand(16) < 0.3)

    def forward(self, x):
        where = torch.where(self.mask, x, 0.0)
        return torch.nn.functional.linear(where, self.weight, scale=2.0)


part = Case(
    model=Model,
    inputs={"one": lambda: (torch.randn(1, 16),)},
    fixed_inputs="this input set shows it",
)
'''
    )


def test_what_else_a_file_says() -> None:
    sketch = Sketch(
        values=[value("x", INPUT, 2, 3), value("boxes", INPUT, 4, 5)],
        lines=[
            line("pool", "torch.ops.torchvision.roi_pool.default", "x", "boxes", imports="torchvision"),
            line("add_", "add_", "pool", "1", method=True),
        ],
        returns=["pool", "add_"],
    )
    choice = Choice.first(sketch, PLAIN).with_recipes(["boxes"], REAL)
    facts = Facts(
        said=SAID[:1],
        dtype="bfloat16",
        export=("onnx@old", "{'opset_version': 18}"),
        tolerance="Tolerance(bits_lost=3.0)",
    )
    text = written(sketch, choice, facts, {})
    for part in (
        "\n\nIt reads part.pt, which `modelconform blame -o DIR` writes beside it.\n",
        "from pathlib import Path\n\nimport torch\nimport torchvision\n\n",
        "from pytest_modelconform import Case, Export, Tolerance\n",
        'tensors = torch.load(Path(__file__).with_name("part.pt"), weights_only=True)\n',
        "        add_ = pool.add_(1)\n        return pool, add_\n",
        '    inputs={"one": lambda: (torch.randn(2, 3), tensors["boxes"])},\n',
        '    dtypes=("bfloat16",),\n    tolerance=Tolerance(bits_lost=3.0),\n',
        "    exports={\"onnx@old\": Export(options={'opset_version': 18})},\n",
        '    files=("part.pt",),\n    requires=("torchvision",),\n',
    ):
        assert part in text
    # Few numbers are in the file itself.
    assert "torch.tensor([[1.0, 2.0]])" in written(sketch, choice, facts, {"boxes": "[[1.0, 2.0]]"})


def test_sizes_that_vary() -> None:
    sketch = Sketch(
        values=[value("x", INPUT, 3, 6)],
        others=[value("x", INPUT, 2, 6)],
        varies={"x": [(0, '"batch"')]},
        lines=[line("y", "torch.relu", "x")],
        returns=["y"],
        sizes=[size(6, 2, x=1)],
    )
    text = written(sketch, Choice.first(sketch, PLAIN, small=True), Facts(said=SAID[:1]), {})
    assert (
        text.partition("model=Model,\n")[2]
        == """\
    inputs={
        "one": lambda: (torch.randn(3, 2),),
        "two": lambda: (torch.randn(2, 2),),
    },
    dynamic_shapes={"x": {0: "batch"}},
    fixed_inputs="these input sets show it",
)
"""
    )
    real = written(sketch, Choice.first(sketch, REAL), Facts(said=SAID[:1]), {"two:x": "[[1.0]]"})
    assert '"one": lambda: (tensors["x"],)' in real
    assert '"two": lambda: (torch.tensor([[1.0]]),)' in real


def test_a_layer() -> None:
    sketch = Sketch(values=[value("x", INPUT, 8, 4)], layer="torch.nn.BatchNorm1d(4)", mode="train")
    text = written(sketch, Choice.first(sketch, PLAIN), Facts(said=SAID[:1]), {})
    assert (
        text.partition("import Case\n")[2]
        == """
part = Case(
    model=lambda: torch.nn.BatchNorm1d(4),
    inputs={"one": lambda: (torch.randn(8, 4),)},
    mode="train",
    fixed_inputs="this input set shows it",
)
"""
    )


# Of a tensor, its expression by the plainest recipe, and by one that is like it.
TENSORS: dict[str, tuple[dict[str, Any], str, str]] = {
    "normal": ({"deviation": 31.0}, "torch.randn(2, 3)", "30 * torch.randn(2, 3)"),
    "away from zero": ({"deviation": 0.2, "mean": -3.1}, "torch.randn(2, 3)", "0.2 * torch.randn(2, 3) - 3"),
    "never negative": ({"low": 0.0, "high": 6.2}, "torch.rand(2, 3)", "6 * torch.rand(2, 3)"),
    "positive": ({"low": 4.0, "high": 9.0}, "torch.rand(2, 3) + 0.5", "5 * torch.rand(2, 3) + 4"),
    "indices": (
        {"dtype": "int64", "low": 0.0, "high": 9.0},
        "torch.randint(0, 10, (2, 3))",
        "torch.randint(0, 10, (2, 3))",
    ),
    "narrow": (
        {"dtype": "uint8", "low": 0.0, "high": 255.0},
        "torch.randint(0, 256, (2, 3), dtype=torch.uint8)",
        "torch.randint(0, 256, (2, 3), dtype=torch.uint8)",
    ),
    "half": ({"dtype": "float16"}, "torch.randn(2, 3, dtype=torch.float16)", "torch.randn(2, 3, dtype=torch.float16)"),
    "float8": (
        {"dtype": "float8_e5m2"},
        "torch.randn(2, 3).to(torch.float8_e5m2)",
        "torch.randn(2, 3).to(torch.float8_e5m2)",
    ),
    "ones": ({"pattern": "full", "low": 1.0, "high": 1.0}, "torch.ones(2, 3)", "torch.ones(2, 3)"),
    "one number": ({"pattern": "full", "low": 0.5}, "torch.full((2, 3), 0.5)", "torch.full((2, 3), 0.5)"),
    "a mask": (
        {"pattern": "tril", "dtype": "bool"},
        "torch.ones(2, 3, dtype=torch.bool).tril()",
        "torch.ones(2, 3, dtype=torch.bool).tril()",
    ),
    "transposed": ({"order": [1, 0]}, "torch.randn(2, 3)", "torch.randn(3, 2).permute(1, 0)"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor(name: str) -> None:
    fields, *expected = TENSORS[name]
    sketch = Sketch(values=[value("x", INPUT, 2, 3, **fields)], lines=[line("y", "f", "x")], returns=["y"])
    for recipe, wanted in zip((PLAIN, LIKE), expected, strict=True):
        text = written(sketch, Choice.first(sketch, recipe), Facts(said=SAID), {})
        assert f'"one": lambda: ({wanted},)' in text
        ast.parse(text)


def test_a_window_that_takes_too_many_lines_is_no_example() -> None:
    lines = [line(f"y{n}", "torch.relu", "x") for n in range(MOST_LINES)]
    sketch = Sketch(values=[value("x", INPUT, 2, 3)], lines=lines, returns=["y0"])
    with pytest.raises(TooLong):
        written(sketch, Choice.first(sketch, PLAIN), Facts(said=SAID), {})


def test_a_call_that_is_long_is_broken() -> None:
    named: dict[str, Any] = {f"argument_{n}": "self.some_weight" for n in range(6)}
    call = line("y", "torch.nn.functional.batch_norm", "x", **named)
    sketch = Sketch(values=[value("x", INPUT, 2, 3)], lines=[call], returns=["y"])
    text = written(sketch, Choice.first(sketch, PLAIN), Facts(said=SAID), {})
    assert max(map(len, text.splitlines())) <= 120
    ast.parse(text)
