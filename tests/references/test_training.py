"""What rounding decides in a training, and what a worker's answer comes to."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.cells import training
from pytest_modelconform.cells.answers import SetResult
from pytest_modelconform.references.prepared import Prepared
from pytest_modelconform.references.training import named, undecided
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.terms.outcome import Verdict
from pytest_modelconform.workers import arrays, tensors
from pytest_modelconform.workers.host.train import loop as train_loop
from pytest_modelconform.workers.torch_tensors import encode
from tests.support import trainings


def runs_of(r: Any, flipped: int, run: int = 2, count: int = 8) -> list[Any]:
    """Trainings with noise of 1e-7, in one of which some elements went the other way."""
    random = np.random.default_rng(0)
    found = [(r + 1e-7 * random.standard_normal(r.shape)).astype("float32") for _ in range(count)]
    found[run].reshape(-1)[:flipped] += 0.02
    return found


@pytest.mark.parametrize(("flipped", "run", "left_out"), [(0, 2, 0), (3, 2, 3), (3, 7, 3), (40, 2, 0)])
def test_elements_that_rounding_decides(flipped: int, run: int, left_out: int) -> None:
    # Adam's steps of 0.01 in one direction or the other. Over 5 % of them are no exception any more.
    r = np.linspace(-1, 1, 400).reshape(20, 20)
    found = undecided(r, runs_of(r, flipped, run), (r - 0.01).astype("float32"))
    assert found.sum() == left_out
    assert found[:left_out].all()


def test_few_elements_and_losses_are_all_compared() -> None:
    r = np.linspace(-1, 1, 20)
    assert not undecided(r, runs_of(r, 1), r - 0.01).any()
    r = np.linspace(-1, 1, 400)
    assert not undecided(r, runs_of(r, 1), None).any()


def test_a_small_difference_is_no_exception_whatever_the_noise() -> None:
    r = np.linspace(-1, 1, 400)
    runs = runs_of(r, 0)
    runs[3][:3] += 0.02 / 256 / 2
    assert not undecided(r, runs, r - 0.02).any()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("/loss", "loss"),
        ("/gradients/layer.weight", "gradient of layer.weight"),
        ("/parameters/layer.weight", "parameter layer.weight after 8 steps"),
        ("/buffers/norm/mean", "buffer norm/mean after 8 steps"),
    ],
)
def test_names(key: str, words: str) -> None:
    assert named(key, 8) == words


def judged(found: Prepared, name: str, results: dict[str, Any], folder: Path, after: int = 0) -> SetResult:
    written: dict[str, tensors.Tensor] = {}
    tree = encode(results, str, written)
    tensors.write(str(folder / "out.safetensors"), written)
    read = arrays.read(folder / "out.safetensors")
    return training.compare(tree, read, found.sets[name], Tolerance(), 4, after)


@pytest.fixture
def case(tmp_path: Path) -> Any:
    return trainings.built(tmp_path, trainings.NORM)


def test_what_a_training_comes_to(tmp_path: Path, case: Any) -> None:
    found = trainings.prepared(case, tmp_path)
    results = train_loop.run(case, copy.deepcopy(case.model), case.inputs["data"][0])
    whole = judged(found, "training", results, tmp_path)
    assert whole.verdict is Verdict.PASS
    assert (whole.numbers["bits"] or 0) > 15
    assert "parameter 0.weight after 4 steps" in (whole.outputs or ())
    assert (
        judged(found, "training", {**results, "loss": results["loss"][2:]}, tmp_path, after=2).verdict is Verdict.PASS
    )

    results["loss"][3] *= 1.001
    del results["parameters"]["0.weight"]
    results["buffers"]["more"] = results["loss"]
    results["parameters"]["3.bias"] = results["parameters"]["3.bias"] + 1e-3
    results["buffers"]["1.num_batches_tracked"] -= 1
    faulty = judged(found, "training", results, tmp_path)
    assert faulty.verdict is Verdict.MISMATCH
    lines = faulty.message.splitlines()
    assert lines[:2] == [
        "parameter 0.weight after 4 steps is missing, the model has one",
        "buffer more is a tensor, the model has none",
    ]
    # A parameter's name is a phrase: where in it stands apart.
    assert sorted(line.partition(" values: ")[2].partition("[")[0].partition(" is ")[0] for line in lines[2:]) == [
        "buffer 1.num_batches_tracked after 4 steps",
        "loss, element ",
        "parameter 3.bias after 4 steps, element ",
    ]


def test_gradients_that_are_none(tmp_path: Path) -> None:
    case = trainings.built(tmp_path, "Unused()")
    found = trainings.prepared(case, tmp_path)
    results = train_loop.gradients(case, copy.deepcopy(case.model), case.inputs["data"][0])
    assert judged(found, "gradients", results, tmp_path).verdict is Verdict.PASS
    results["gradients"]["idle"] = results["loss"].new_zeros(2)
    results["gradients"]["linear.bias"] = None
    assert judged(found, "gradients", results, tmp_path).message.splitlines() == [
        "gradient of linear.bias is none, the model has one",
        "gradient of idle is a tensor, the model has none",
    ]


def test_many_messages_are_counted(tmp_path: Path, case: Any) -> None:
    found = trainings.prepared(case, tmp_path)
    nothing = judged(found, "training", {"loss": case.inputs["data"][0][0]}, tmp_path)
    assert nothing.message.splitlines()[-1] == "and 2 more"
    assert nothing.numbers.get("bits") is None
