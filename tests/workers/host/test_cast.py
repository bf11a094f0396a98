"""A model in another dtype: what is cast, what is not, and which operator lacks the dtype."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch
from torch import nn

from pytest_modelconform.references import from_runs
from pytest_modelconform.references.content import InferenceAnswer
from pytest_modelconform.references.prepared import Prepared
from pytest_modelconform.workers import arrays
from pytest_modelconform.workers.host.build import Built, build
from pytest_modelconform.workers.host.cast import cast, cast_model, failing_operator, notes
from pytest_modelconform.workers.host.references import runs as reference
from pytest_modelconform.workers.loop import WorkerError
from tests.support import runs

SOURCE = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)
        self.register_buffer("steps", torch.arange(8))

    def forward(self, x, ids):
        y = self.linear(x) + ids
        {}


inputs = {{"a": lambda: (torch.rand(4, 8), torch.arange(8)), "b": lambda: (torch.rand(2, 8), torch.arange(8))}}
case = Case(model=lambda: Net(), inputs=inputs)
"""


def built(folder: Path, dtype: str, body: str = "return y") -> Built:
    path = runs.case_file(folder, "cast", SOURCE.format(body))
    return build(str(path), path.name, path.stem, dtype)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_floating_numbers_are_cast_and_others_stay(tmp_path: Path, dtype: str) -> None:
    found = built(tmp_path, dtype)
    wanted = getattr(torch, dtype)
    assert found.model.get_parameter("linear.weight").dtype == found.inputs["b"][0][0].dtype == wanted
    assert found.model.steps.dtype == found.inputs["b"][0][1].dtype == torch.int64
    assert [leaf["dtype"] for leaf in found.input_leaves] == [dtype, "int64"]
    assert (found.dtype, found.notes) == (dtype, [])
    plain = built(tmp_path, "float32")
    assert found.digest != plain.digest


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("float64", torch.complex128),
        ("float32", torch.complex64),
        ("float16", torch.complex64),
        ("bfloat16", torch.complex64),
    ],
)
def test_complex_numbers_stay_complex(dtype: str, kind: torch.dtype) -> None:
    model = nn.Module()
    model.weight = nn.Parameter(torch.ones(2, dtype=torch.complex64))
    tied = nn.Linear(2, 2)
    model.first, model.second = tied, tied
    cast_model(model, dtype)
    assert model.weight.dtype == kind
    assert model.first.weight is model.second.weight
    value = cast({"x": [torch.ones(1, dtype=torch.complex64), 3, "text", None]}, dtype)
    assert value["x"][0].dtype == kind
    assert value["x"][1:] == [3, "text", None]
    said = [f"complex64 stays: PyTorch has no complex numbers of two {dtype}"] if kind == torch.complex64 else []
    assert notes(model, value, dtype) == (said if dtype != "float32" else [])
    assert notes(nn.Linear(2, 2), (), dtype) == []


def test_the_operator_that_fails_is_named() -> None:
    half = torch.ones(2, 2, dtype=torch.float16)
    assert failing_operator(lambda: torch.linalg.cholesky(half)).startswith("aten.linalg_cholesky_ex")
    assert failing_operator(lambda: half @ torch.ones(2, 2)) == "aten.mm.default"
    assert failing_operator(lambda: half + 1) == ""
    assert failing_operator(lambda: [][0]) == ""


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return torch.linalg.cholesky(y.T @ y)", r"fails in float16, operator aten\.linalg_cholesky_ex\S*: NotImpl"),
        ("return y @ torch.ones(8, 8)", r"fails in float16, operator aten\.mm\.default: RuntimeError: "),
        ("raise ValueError('not in Python')", "fails in float16: ValueError: not in Python"),
    ],
)  # fmt: skip
def test_a_model_that_does_not_run_in_a_dtype(tmp_path: Path, body: str, says: str) -> None:
    with pytest.raises(WorkerError, match=rf"case 'cast\d+', input set 'a': the model itself {says}") as caught:
        reference.make(built(tmp_path, "float16", body), str(tmp_path))
    assert caught.value.stage == "reference"


@pytest.mark.parametrize(("dtype", "bits"), [("float16", 10), ("bfloat16", 7), ("float64", 51)])
def test_the_reference_is_of_the_rounded_weights_and_inputs(tmp_path: Path, dtype: str, bits: int) -> None:
    model = built(tmp_path, dtype)
    content = reference.make(model, str(tmp_path))
    runs = arrays.read(tmp_path / "runs-a.safetensors")
    x, ids = model.inputs["a"][0]
    weight, bias = (model.model.get_parameter(f"linear.{name}").double() for name in ("weight", "bias"))
    exact = x.double() @ weight.T + bias + ids
    assert (abs(runs["r:"] - exact.detach().numpy()) < 1e-14).all()
    assert runs["e0:"].dtype.name == runs["e3:"].dtype.name == dtype
    made = from_runs.make(tmp_path, msgspec.convert(content, InferenceAnswer))
    assert made.notes == []
    prepared = Prepared(made, "d", tmp_path, cached=False)
    found = prepared.sets["a"].references[""]
    assert found.dtype == dtype
    assert found.reference_bits is not None
    assert bits - 2 < found.reference_bits < bits + 3
