"""Complex tensors of a file that has pairs of real numbers in their place."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.cells import pairs
from pytest_modelconform.terms.signature import Signature
from pytest_modelconform.workers import arrays, tensors
from tests.support import runs
from tests.support.runs import Run

Z = (np.arange(6, dtype=np.float32) + 1j * np.arange(6, 12, dtype=np.float32)).reshape(2, 3).astype(np.complex64)
PAIRS, PLAIN = (Signature(file="model.onnx", layout="flat", pairs=pairs) for pairs in (True, False))


def entry(folder: Path, **dtypes: str) -> Any:
    tensors.write(str(folder / "inputs.safetensors"), {"z": arrays.from_array(Z), "n": arrays.from_array(np.arange(3))})
    references = {name: SimpleNamespace(dtype=dtype, shape=Z.shape) for name, dtype in dtypes.items()}
    return SimpleNamespace(file=folder / "inputs.safetensors", references=references)


def test_inputs_are_given_as_pairs(tmp_path: Path) -> None:
    given = entry(tmp_path)
    assert pairs.inputs_file(given, PLAIN, tmp_path) == given.file
    found = arrays.read(pairs.inputs_file(given, PAIRS, tmp_path))
    np.testing.assert_array_equal(found["z"], np.stack([Z.real, Z.imag], -1), strict=True)
    np.testing.assert_array_equal(found["n"], np.arange(3), strict=True)
    assert arrays.read(given.file)["z"].dtype == np.complex64


def test_a_transposed_input_stays_transposed(tmp_path: Path) -> None:
    given = entry(tmp_path)
    tensors.write(str(given.file), {"z": arrays.from_array(Z)._replace(order=(1, 0))})
    [found] = arrays.read(pairs.inputs_file(given, PAIRS, tmp_path)).values()
    np.testing.assert_array_equal(found, np.stack([Z.real, Z.imag], -1), strict=True)
    # The numbers of a pair stay beside each other: a column's first row, its second row, then the next column.
    assert found.strides == (8, 16, 4)


def test_real_inputs_are_given_as_they_are(tmp_path: Path) -> None:
    given = entry(tmp_path)
    tensors.write(str(given.file), {"n": arrays.from_array(np.arange(3))})
    assert pairs.inputs_file(given, PAIRS, tmp_path) == given.file


def returned(signature: Signature, dtype: str, array: np.ndarray[Any, Any], folder: Path) -> np.ndarray[Any, Any]:
    """What is compared of an output that the model returns in a dtype, where the artifact returned this array."""
    tree = {"dict": [["y", {"tensor": "0/y"}]]}
    [(_, found)] = pairs.joined([(tree, {"0/y": array})], entry(folder, **{"['y']": dtype}), signature)
    out: np.ndarray[Any, Any] = found["0/y"]
    return out


def test_pairs_are_compared_as_complex_numbers(tmp_path: Path) -> None:
    paired = np.stack([Z.real, Z.imag], -1)
    np.testing.assert_array_equal(returned(PAIRS, "complex64", paired, tmp_path), Z, strict=True)
    # However they lie in memory.
    turned = np.asfortranarray(paired)
    np.testing.assert_array_equal(returned(PAIRS, "complex64", turned, tmp_path), Z, strict=True)


@pytest.mark.parametrize(
    ("signature", "dtype", "array"),
    [
        (PLAIN, "complex64", np.stack([Z.real, Z.imag], -1)),
        (PAIRS, "float32", np.stack([Z.real, Z.imag], -1)),
        (PAIRS, "complex128", np.stack([Z.real, Z.imag], -1)),
        (PAIRS, "complex64", np.stack([Z.real, Z.imag])),
        (PAIRS, "complex64", Z.real.copy()),
        (PAIRS, "complex64", Z),
    ],
    ids=["plain", "real", "wider", "shape", "real part", "complex"],
)
def test_anything_else_stays_what_it_is(signature: Signature, dtype: str, array: Any, tmp_path: Path) -> None:
    assert returned(signature, dtype, array, tmp_path) is array


NET = """\
import torch
from torch import nn

from pytest_modelconform import Case


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x, z):
        return {"spectrum": torch.fft.fft(self.linear(x)), "product": z * z, "y": self.linear(x)}


net = Case(
    model=Net,
    inputs={"one": lambda: (torch.randn(3, 4), torch.randn(5, 4, dtype=torch.complex64))},
    dtypes=("float32", "float64"),
)
"""


@pytest.fixture
def seen(session_folder: Path) -> Run:
    def make(folder: Path) -> Run:
        runs.write(folder, {"net.py": NET})
        options = ("--modelconform-formats=onnx,onnx-int8", "--modelconform-threads=0", "-n", "0")
        return runs.run(folder, *options, "net.py", runtimes="ort", seconds=900)

    return runs.once(session_folder, "pairs", make)


@pytest.mark.compiles
@pytest.mark.parametrize("cell", ["net[onnx-ort-cpu]", "net[onnx-ort-cpu-float64]", "net[onnx_int8-ort-cpu]"])
def test_a_model_with_complex_numbers_in_onnx(cell: str, seen: Run) -> None:
    assert seen.verdict(cell) == ("pass", None), seen.message(cell)
    said = "in the file, z, output['spectrum'], output['product'] are pairs of real ones"
    assert said in "\n".join(seen.cells[cell]["notes"])
    wide = "complex128" if cell.endswith("float64]") else "complex64"
    outputs = seen.cells[cell]["inputs"]["one"]["outputs"]
    assert (outputs["output['product']"]["dtype"], outputs["output['product']"]["shape"]) == (wide, [5, 4])
