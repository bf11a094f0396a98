"""Twins: the same weights in another framework, compared with PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.cells.case_files import static_cases
from tests.support import runs
from tests.support.runs import Run

pytestmark = pytest.mark.compiles

CASES = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 4)

    def forward(self, x):
        return {"y": torch.tanh(self.linear(x)), "a": x.sum(1)}


def apply(w, x):
    import jax.numpy as jnp

    return {"y": jnp.tanh(x @ w["linear.weight"].T + w["linear.bias"]), "a": x.sum(1)}


def right(weights):
    return apply, weights


def wrong(weights):
    return apply, {**weights, "linear.bias": weights["linear.bias"] * 1.001}


inputs = {"two": lambda: (torch.rand(2, 3),), "one": lambda: (torch.rand(1, 3),)}
dynamic = {"x": {0: "batch"}}
good = Case(model=lambda: Net(), inputs=inputs, dynamic_shapes=dynamic, twins={"jax": right})
bad = Case(model=lambda: Net(), inputs=inputs, dynamic_shapes=dynamic, twins={"jax": wrong})
none = Case(model=lambda: Net(), inputs=inputs, dynamic_shapes=dynamic)
strange = Case(model=lambda: Net(), inputs=inputs, twins={"chainer": right})
list_ = Case(model=lambda: Net(), inputs=inputs, twins=[right])
"""
OPTIONS = ("--modelconform-formats=twin-jax,torchscript-trace", "--modelconform-threads=0")


@pytest.fixture
def seen(session_folder: Path, cache: Path) -> Run:
    def make(folder: Path) -> Run:
        runs.write(folder, {"cases.py": CASES})
        return runs.run(folder, *OPTIONS, runtimes="jax,torch", seconds=600)

    return runs.once(session_folder, "twins", make)


def test_the_same_model_passes(seen: Run) -> None:
    assert seen.verdict("good[twin_jax-jax-cpu]") == ("pass", None), seen.stdout
    assert seen.cells["good[twin_jax-jax-cpu]"]["bits"] > 20


def test_another_bias_is_a_mismatch(seen: Run) -> None:
    assert seen.verdict("bad[twin_jax-jax-cpu]") == ("mismatch", "compare")
    assert "output['y']" in seen.message("bad[twin_jax-jax-cpu]")
    # PyTorch's own cells have nothing to do with it.
    assert seen.verdict("bad[torchscript_trace-torch-cpu]") == ("pass", None)


def test_without_a_twin_there_is_no_such_cell(seen: Run) -> None:
    assert {name for name in seen.cells if name.startswith("none")} == {
        "none[eager]",
        "none[torchscript_trace-torch-cpu]",
    }


def test_faults_of_the_field_are_named(seen: Run) -> None:
    assert seen.message("strange[collect]") == (
        "case 'strange', field 'twins': no twin can be in 'chainer'; known: keras, jax"
    )
    assert "give a dict of functions by framework" in seen.message("list_[collect]")


def test_twins_are_seen_without_running_the_file(tmp_path: Path) -> None:
    (tmp_path / "cases.py").write_text(CASES)
    found = {case.name: case.has for case in static_cases(tmp_path / "cases.py")}
    assert found["good"] == ["twin-jax"]
    assert found["none"] == []
