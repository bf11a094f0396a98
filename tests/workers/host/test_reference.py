"""What the case host leaves for the pytest process, and what that makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelconform import references
from pytest_modelconform.case import Tolerance
from pytest_modelconform.workers import arrays
from pytest_modelconform.workers.host import reference
from pytest_modelconform.workers.host.build import build
from pytest_modelconform.workers.host.state import Globals, seed_all, seed_of
from pytest_modelconform.workers.loop import WorkerError

HEAD = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)
        self.calls = 0

    def forward(self, x):
        y = self.linear(x)
        {}


case = Case(model=lambda: Net(), inputs={{"a": lambda: (torch.rand(4, 8),), "b": lambda: (torch.rand(2, 8),)}}{})
"""
counter = 0


def make(folder: Path, body: str, more: str = "") -> dict[str, Any]:
    global counter
    counter += 1
    path = folder / f"ref{counter}.py"
    path.write_text(HEAD.format(body, more))
    return reference.make(build(str(path), path.name, path.stem), str(folder))


def test_a_reference(tmp_path: Path) -> None:
    content = make(tmp_path, "return {'y': y, 'n': [y.argmax(), 3.5]}")
    assert content["exporter_set"] == "a"
    assert content["output_paths"] == ["/y", "/n/0", "/n/1"]
    assert content["parameters"] == 72
    assert content["sets"]["a"]["inputs_changed"] == []
    assert content["sets"]["a"]["impure"] == ""
    assert content["tolerance"]["bits_lost"] is None
    runs = arrays.read(tmp_path / "runs-a.safetensors")
    assert {key.partition(":")[0] for key in runs} == {"e0", "r", "e1", "e2", "e3", "e4"}
    assert runs["r:/y"].dtype == np.float64
    np.testing.assert_allclose(runs["r:/y"], runs["e0:/y"], rtol=0, atol=1e-6)
    for k in range(1, 5):
        assert 0 < np.abs(runs[f"e{k}:/y"] - runs["e0:/y"]).max() < 1e-6

    notes = references.make(tmp_path, content)
    assert notes == []
    assert not (tmp_path / "runs-a.safetensors").exists()
    prepared = references.Prepared({**content, "notes": notes, "digest_of_all": "d"}, tmp_path, cached=False)
    assert list(prepared.sets) == ["a", "b"]
    entry = prepared.sets["b"]
    assert (entry.shapes, entry.args, entry.kwargs) == ({"/args/0": [2, 8]}, [{"tensor": "/args/0"}], [])
    assert set(entry.references) == {"['y']", "['n'][0]", "['n'][1]"}
    assert (entry.references["['y']"].reference_bits or 0) > 20
    assert prepared.tolerance == Tolerance()
    assert prepared.tolerances == {}


def test_inputs_that_the_model_changes_are_noted(tmp_path: Path) -> None:
    content = make(tmp_path, "x.add_(1); return y")
    assert content["sets"]["a"]["inputs_changed"] == ["/args/0"]
    # And are whole in the file.
    assert arrays.read(tmp_path / "inputs-a.safetensors")["/args/0"].max() < 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return y + torch.rand_like(y)", "gives other numbers on a second call with the same inputs"),
        ("return torch.nn.functional.dropout(y, 0.5, training=True)", "gives other numbers on a second call"),
        ("self.calls += 1; return y * self.calls", "gives other numbers on a second call"),
        ("return (torch.rand(6) * 1000).long()", "gives other numbers on a second call"),
        ("return y * 0", "output"),
    ],
)
def test_models_that_nothing_can_be_compared_with(tmp_path: Path, body: str, message: str) -> None:
    content = make(tmp_path, body)
    with pytest.raises(references.ModelFault, match=message) as fault:
        references.make(tmp_path, content)
    assert str(fault.value).startswith("input set 'a': ")


def test_an_output_without_information_can_be_all_right(tmp_path: Path) -> None:
    notes = references.make(tmp_path, make(tmp_path, "return y * 0", ", blind_ok='the head is zero by design'"))
    assert notes == []
    assert (tmp_path / "references-a.safetensors").is_file()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('no')", "case 'ref\\d+', input set 'a': the model itself fails: ValueError: no"),
        ("return None", "input set 'a': the model returns no tensor"),
    ],
)
def test_models_that_fail(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(WorkerError, match=message) as caught:
        make(tmp_path, body)
    assert caught.value.stage == "reference"


def test_where_float64_is_no_reference_eager_alone_is(tmp_path: Path) -> None:
    content = make(tmp_path, "if y.dtype == torch.float64: raise TypeError('float32 only')\n        return y")
    assert content["sets"]["a"]["impure"] == "the model does not run in float64: TypeError: float32 only"
    notes = references.make(tmp_path, content)
    assert notes[0] == "input set 'a': the model does not run in float64: TypeError: float32 only"


def test_seeds_and_globals() -> None:
    import random

    import torch

    assert seed_of("a", 1) == seed_of("a", 1) != seed_of("a", 2)
    assert seed_of("ab", "c") != seed_of("a", "bc")
    drawn = []
    for _ in range(2):
        seed_all("x")
        drawn.append((random.random(), float(np.random.rand()), float(torch.rand(()))))
    assert drawn[0] == drawn[1]
    state = Globals()
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    setattr(torch.backends.mkldnn, "enabled", False)  # noqa: B010 (torch annotates it as read-only)
    state.restore()
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert torch.backends.mkldnn.enabled
