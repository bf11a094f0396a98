"""Parts as cases: as a case file declares them, built by the case host."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_modelconform.workers.host.build import Built, build, digest
from pytest_modelconform.workers.host.part_case import PartCase
from pytest_modelconform.workers.host.parts import part as part_module
from pytest_modelconform.workers.loop import WorkerError
from tests.support import runs
from tests.workers.host.parts.models import part_file

NET = """\
class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x, scale):
        if FLAG and float(x.sum()) > 1e9:
            x = x * 2
        return self.linear(x).tanh() * scale, x.shape[0]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x):
        y = self.inner(x, 2.0)[0]
        return y.reshape(y.shape[0] * 2, 4).float().softmax(1)


net = Case(
    model=lambda: generic_weights(Net()),
    inputs={"four": lambda: (torch.randn(4, 8),), "three": lambda: (torch.randn(3, 8),)},
    dynamic_shapes={"x": {0: torch.export.Dim("batch", max=9)}},
    dtypes=("float32", "bfloat16"),
)
"""


def part(tmp_path: Path, flag: bool = False, dtype: str = "float32", text: str = NET, **fields: Any) -> Built:
    net = part_file(tmp_path, text.replace("FLAG", str(flag)))
    given = {"file": str(net), "relative": net.name, "case": "net", "dtype": dtype, **fields}
    lines = "".join(f"    {name}={value!r},\n" for name, value in given.items())
    head = "from pytest_modelconform.terms.part_case import part_case\n\npart = part_case(\n"
    path = runs.case_file(tmp_path, "part", f"{head}{lines})\n")
    return build(str(path), path.name, "part", dtype)


def test_a_prefix_has_the_cases_own_inputs_and_sizes(tmp_path: Path) -> None:
    found = part(tmp_path, operators=("linear", "tanh"), sets=("three",))
    assert isinstance(found.case, PartCase)
    assert {key: call[0][0].shape[0] for key, call in found.inputs.items()} == {"four": 4, "three": 3}
    assert found.dynamic_shapes["x"][0].max == 9
    [leaf] = found.input_leaves
    assert leaf["shape"] == ["batch", 8]
    assert not found.generated


def test_other_inputs_vary_where_the_program_does(tmp_path: Path) -> None:
    found = part(tmp_path, operators=("tanh",))
    assert found.dynamic_shapes == {"linear": {0: torch.export.Dim.AUTO}}
    assert list(found.inputs) == ["four"]
    x = found.clone_inputs()[0][0]
    assert found.model(x)[0].equal(x.tanh())


SPECTRUM = """\
class Net(nn.Module):
    def forward(self, spectrum, scale):
        return (torch.fft.ifft(spectrum) * scale).abs()


net = Case(
    model=Net,
    inputs={n: lambda n=n: (torch.randn(n, 8, dtype=torch.complex64), torch.tensor(2.0)) for n in (4, 3)},
    dynamic_shapes=({0: torch.export.Dim("batch", max=9)}, None),
)
"""


@pytest.mark.parametrize("shape", ["", "list"])
def test_complex_tensors_reach_a_part_as_pairs(tmp_path: Path, shape: str) -> None:
    text = SPECTRUM.replace("inputs={n:", 'inputs={f"n{n}":')
    if shape:
        text = text.replace(
            '{0: torch.export.Dim("batch", max=9)}', '[torch.export.Dim("batch", max=9), torch.export.Dim.STATIC]'
        )
    first = part(tmp_path, text=text, operators=("fft_ifft",), sets=("n3",))
    [x] = first.clone_inputs("n3")[0]
    assert (x.dtype, tuple(x.shape)) == (torch.float32, (3, 8, 2))
    assert first.input_leaves[0]["shape"] == ["batch", 8, 2]
    expected = torch.view_as_real(torch.fft.ifft(torch.view_as_complex(x)))
    assert first.model(x)[0].equal(expected)
    # Of a result, PyTorch's own name for its length.
    then = part(tmp_path, text=text, operators=("abs_1",))
    assert then.dynamic_shapes == {"mul": {0: torch.export.Dim.AUTO}}
    assert then.clone_inputs()[0][0].shape == (4, 8, 2)


def test_what_was_cast_is_not_cast_again(tmp_path: Path) -> None:
    found = part(tmp_path, dtype="bfloat16", operators=("softmax",))
    assert found.clone_inputs()[0][0].dtype == torch.float32
    assert part(tmp_path, dtype="bfloat16", operators=("tanh",)).clone_inputs()[0][0].dtype == torch.bfloat16


def test_a_call_of_a_submodule(tmp_path: Path) -> None:
    found = part(tmp_path, flag=True, way="submodules", operators=("inner",), sets=("three",))
    assert {key: call[0][0].shape[0] for key, call in found.inputs.items()} == {"four": 4, "three": 3}
    assert [leaf["shape"] for leaf in found.input_leaves] == [["batch", 8]]
    assert found.model(*found.clone_inputs()[0])[0].shape == (4, 8)
    plain = part(tmp_path, flag=True, way="submodules", operators=("inner.linear",))
    assert isinstance(plain.model, torch.nn.Linear)
    whole = part(tmp_path, flag=True, way="submodules")
    assert type(whole.model).__name__ == "Net"
    assert whole.dynamic_shapes["x"][0].__name__ == "batch"


def test_what_is_no_part_is_a_fault_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="no part of their own: the program has no operator 'sin'"):
        part(tmp_path, operators=("sin",))
    with pytest.raises(WorkerError, match=r"torch\.export can't capture the model"):
        part(tmp_path, flag=True, operators=("tanh",))


def test_of_parts_that_were_built_one_is_in_memory(tmp_path: Path) -> None:
    first = part(tmp_path, operators=("linear", "tanh"))
    weights = weakref.ref(part_module._last[next(iter(part_module._last))].module)
    part(tmp_path, operators=("tanh",))
    gc.collect()
    assert weights() is None
    # Its file is still imported, and makes it again.
    again = first.case.model()
    assert digest(again, first.inputs) == digest(first.model, first.inputs) == first.digest
