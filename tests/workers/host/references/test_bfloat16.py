"""Operands of products rounded to bfloat16: the noise that a runtime's fast mode is judged by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from pytest_modelconform.references import from_runs
from pytest_modelconform.references.content import InferenceAnswer
from pytest_modelconform.references.model_check import ModelFault
from pytest_modelconform.references.prepared import Prepared
from pytest_modelconform.workers import arrays
from pytest_modelconform.workers.host.build import build
from pytest_modelconform.workers.host.references import bfloat16
from pytest_modelconform.workers.host.references import runs as reference
from pytest_modelconform.workers.host.references.bfloat16 import Reduced, rounded
from pytest_modelconform.workers.loop import WorkerError
from tests.support import runs


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# -- rounding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_to_one_of_the_two_neighbours(dtype: torch.dtype) -> None:
    value = (torch.randn(4000, generator=generator()) * 3).to(dtype)
    found = rounded(value, generator())
    assert found.dtype == dtype
    assert torch.equal(found.to(torch.bfloat16).to(dtype), found)
    relative = (found.double() - value.double()).abs() / value.double().abs()
    assert float(relative.max()) < 2**-7
    # Further than rounding to nearest goes, since the other neighbour is taken, too.
    assert float(relative.max()) > 2**-8


def test_without_bias() -> None:
    value = torch.full((20000,), 1 + 2**-9)
    found = rounded(value, generator())
    assert set(found.tolist()) == {1.0, 1 + 2**-7}
    assert float(found.double().mean()) == pytest.approx(1 + 2**-9, abs=2e-4)
    assert float(rounded(-value, generator()).double().mean()) == pytest.approx(-1 - 2**-9, abs=2e-4)


def test_what_stays() -> None:
    exact = torch.tensor([0.0, -0.0, 1.5, -256.0, float("nan"), float("inf"), float("-inf")])
    assert torch.equal(rounded(exact, generator()).view(torch.int32), exact.view(torch.int32))
    for value in (
        torch.arange(3),
        torch.tensor([True]),
        torch.ones(2, dtype=torch.bfloat16),
        torch.empty(0),
        "x",
        None,
    ):
        assert rounded(value, generator()) is value


def test_nothing_becomes_infinite() -> None:
    for dtype in (torch.float16, torch.float32, torch.float64):
        most = torch.full((100,), torch.finfo(dtype).max, dtype=dtype)
        for value in (most, -most):
            assert bool(torch.isfinite(rounded(value, generator())).all())


def test_strides_and_complex_parts() -> None:
    value = torch.randn(3, 4, 5, 6).to(memory_format=torch.channels_last)
    assert rounded(value, generator()).stride() == value.stride()
    numbers = torch.tensor([1 / 3 + 0.7j, 2 / 3 - 0.1j])
    found = rounded(numbers, generator())
    assert bool((found.real != numbers.real).all() and (found.imag != numbers.imag).all())
    torch.testing.assert_close(found, numbers, rtol=2**-6, atol=0)


# -- which operators ---------------------------------------------------------------------------------------------------

X = torch.randn(1, 3, 8, 8, generator=generator())
W = torch.randn(4, 3, 3, 3, generator=generator())
PRODUCTS: dict[str, Callable[[], torch.Tensor]] = {
    "matmul": lambda: X @ X,
    "mv": lambda: X[0, 0] @ X[0, 0, 0],
    "linear": lambda: nn.functional.linear(X, X[0, 0], X[0, 0, 0]),
    "einsum": lambda: torch.einsum("bcij,bcjk->bcik", X, X),
    "conv": lambda: nn.functional.conv2d(X, W),
    "conv_transpose": lambda: nn.functional.conv_transpose2d(X, W[:3]),
}
OTHERS: dict[str, Callable[[], torch.Tensor]] = {
    "add": lambda: X + 0.1,
    "softmax": lambda: X.softmax(-1),
    "gelu": lambda: nn.functional.gelu(X),
    "layer_norm": lambda: nn.functional.layer_norm(X, (8,)),
    "sum": lambda: X.sum(1),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_operands_of_products_are_rounded(name: str) -> None:
    exact = PRODUCTS[name]()
    with Reduced(generator()):
        found = PRODUCTS[name]()
    error = float((found - exact).double().square().mean().sqrt() / exact.double().square().mean().sqrt())
    assert 2**-10 < error < 2**-6


@pytest.mark.parametrize("name", OTHERS)
def test_everything_else_is_as_it_was(name: str) -> None:
    with Reduced(generator()):
        found = OTHERS[name]()
    assert torch.equal(found, OTHERS[name]())


# -- runs of a case ----------------------------------------------------------------------------------------------------

HEAD = """\
import torch

from pytest_modelconform import Case, generic_weights


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(64, 64)
        {}

    def forward(self, x):
        y = self.linear(x)
        {}


case = Case(model=lambda: generic_weights(Net()), inputs={{"a": lambda: (torch.randn(4, 64),)}})
"""


def make(folder: Path, body: str, more: str = "pass", dtype: str = "float32") -> dict[str, Any]:
    path = runs.case_file(folder, "reduced", HEAD.format(more, body))
    return reference.make(build(str(path), path.name, path.stem, dtype), str(folder), bfloat16.noise)


def noise(folder: Path) -> float:
    """Of the runs, as bits."""
    found = arrays.read(folder / "runs-a.safetensors")
    r = found["r:"].astype(np.float64)
    errors = [found[f"e{k}:"].astype(np.float64) - r for k in range(1, 4)]
    return float(np.log2(np.sqrt((r * r).mean()) / max(np.sqrt((e * e).mean()) for e in errors)))


@pytest.mark.parametrize(
    ("body", "more"),
    [
        ("return y", "pass"),
        ("q = y.reshape(1, 2, 2, 64); return torch.nn.functional.scaled_dot_product_attention(q, q, q)", "pass"),
        ("return self.lstm(y[None])[0]", "self.lstm = torch.nn.LSTM(64, 64, batch_first=True)"),
        ("return self.t(y[None])", "self.t = torch.nn.TransformerEncoderLayer(64, 4, 64, batch_first=True)"),
    ],
    ids=["linear", "attention", "lstm", "transformer"],
)
def test_the_noise_is_that_of_bfloat16(tmp_path: Path, body: str, more: str) -> None:
    before = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    make(tmp_path, body, more)
    assert 5 < noise(tmp_path) < 10
    assert (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled) == before


def test_the_same_each_time_and_none_like_another(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        path = tmp_path / "same.py"
        path.write_text(HEAD.format("pass", "return y"))
        reference.make(build(str(path), path.name, "same"), str(tmp_path / name), bfloat16.noise)
        runs = arrays.read(tmp_path / name / "runs-a.safetensors")
        found.append([runs[f"e{k}:"].copy() for k in range(5)])
    for k in range(5):
        assert np.array_equal(found[0][k], found[1][k])
        assert not any(np.array_equal(found[0][k], found[0][other]) for other in range(k))


def test_a_model_in_bfloat16_has_its_ordinary_noise(tmp_path: Path) -> None:
    make(tmp_path, "return y[:2, :8].clone()", dtype="bfloat16")
    assert 6 < noise(tmp_path) < 10


def test_whole_numbers_stay(tmp_path: Path) -> None:
    make(
        tmp_path, "return y * 0 + self.positions[:64]", "self.register_buffer('positions', torch.arange(1000.0) + 257)"
    )
    runs = arrays.read(tmp_path / "runs-a.safetensors")
    assert np.array_equal(runs["e1:"], runs["e0:"])


def test_other_shapes_are_not_compared(tmp_path: Path) -> None:
    prepared, notes = fast_references(tmp_path, "return y, y[y > y.median()][: (y.sum() * 1e4).long().abs() % 50]")
    assert "input set 'a', output[1] is not compared in a fast mode: it is of a size that rounding decides" in notes
    assert [prepared.sets["a"].references[path].kind for path in ("[0]", "[1]")] == ["float", "unstable"]


def test_failures_are_errors_of_the_reference(tmp_path: Path) -> None:
    body = "if y.bfloat16().float().ne(y).all(): raise ValueError('picky')\n        return y"
    with pytest.raises(WorkerError, match="the model itself fails: ValueError: picky"):
        make(tmp_path, body)


def fast_references(folder: Path, body: str) -> tuple[Prepared, list[str]]:
    content = make(folder, body)
    made = from_runs.make(folder, msgspec.convert(content, InferenceAnswer), fast=True)
    return Prepared(made, "d", folder, cached=False), made.notes


def test_an_integer_output_that_depends_on_bfloat16_is_not_compared(tmp_path: Path) -> None:
    prepared, notes = fast_references(tmp_path, "return y, (y * 1000).long(), y > -99")
    notes = [note for note in notes if "'auto-" not in note]
    assert len(notes) == 2
    assert notes[0].startswith("input set 'a', output[1] is not compared in a fast mode: it is decided by rounding")
    found = prepared.sets["a"].references
    assert [found[path].kind for path in ("[0]", "[1]")] == ["float", "empty"]
    assert found["[0]"].reduced
    assert found["[1]"].shape == (4, 64)


def test_a_case_of_which_nothing_is_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelFault, match="nothing can be compared in a fast mode: input set 'a', output is"):
        fast_references(tmp_path, "return (y * 1000).long()")


def test_without_float64_eager_is_the_reference(tmp_path: Path) -> None:
    prepared, notes = fast_references(tmp_path, "if y.dtype == torch.float64: raise TypeError('no')\n        return y")
    assert "does not run in float64" in notes[0]
    found = prepared.sets["a"].references[""]
    assert (found.kind, found.eager_numbers.bits) == ("float", 60.0)
    assert 5 < (found.reference_bits or 0) < 10
