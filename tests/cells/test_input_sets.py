"""Why an input set is refused, in words that name sizes and a remedy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_modelconform.cells.answers import SetResult
from pytest_modelconform.cells.input_sets import InputSets
from pytest_modelconform.cells.worker import WorkerRefused
from pytest_modelconform.terms.outcome import Verdict
from pytest_modelconform.terms.signature import Input, Signature


def sets(declared: Sequence[int | str], **shapes: list[int]) -> Any:
    """A case with one input, `image`, whose set `first` was exported."""
    made = {
        name: SimpleNamespace(name=name, shapes={"/kwargs/image": shape, "/args/0": [2]})
        for name, shape in shapes.items()
    }
    leaves = [SimpleNamespace(path="/kwargs/image", shape=declared), SimpleNamespace(path="/args/0", shape=[2])]
    return SimpleNamespace(
        judge=SimpleNamespace(
            content=SimpleNamespace(input_leaves=leaves), exported_shapes=made["first"].shapes, sets=made
        )
    )


@pytest.mark.parametrize(
    ("declared", "other", "says"),
    [
        (
            [3, 16],
            [5, 16],
            "image was exported as (3, 16), this set has (5, 16): give dynamic_shapes to export it for other sizes",
        ),
        (
            ["batch", 16],
            [5, 16],
            "this set has (5, 16): the exporter fixed a size that dynamic_shapes leaves open",
        ),
        (["batch", 16], [5, 8], "this set has (5, 8): give dynamic_shapes"),
        ([3, 16], [1, 3, 16], "this set has (1, 3, 16): give dynamic_shapes"),
        ([3, 16], [3, 16], ""),
    ],
)
def test_a_set_of_another_size(declared: list[int | str], other: list[int], says: str) -> None:
    case = sets(declared, first=[3, 16], other=other)
    case.artifact = SimpleNamespace(signature=Signature(file="model", layout="tree"))
    said = InputSets._other_size(cast(InputSets, case), case.judge.sets["other"], None)
    assert says in said
    assert bool(says) == bool(said)


@pytest.mark.parametrize(("conflict", "exporter"), [("the artifact declares image as (3, 16)", True), (None, False)])
def test_an_exporter_is_blamed_for_what_the_artifact_declares_only(conflict: str | None, exporter: bool) -> None:
    case = sets(["batch", 16], first=[3, 16], other=[1, 16])
    signature = Signature(file="model", layout="flat", inputs=(Input("/kwargs/image", (3 if conflict else "n", 16)),))
    case.artifact = SimpleNamespace(signature=signature)
    said = InputSets._other_size(cast(InputSets, case), case.judge.sets["other"], conflict)
    assert "this set has (1, 16)" in said
    assert ("the exporter fixed a size" in said) == exporter


def test_the_report_has_the_shapes_of_a_set() -> None:
    entry = SetResult(Verdict.PASS, shapes={"/args/0": [2, 3], "/kwargs/mask": []}).to_json()
    assert entry == {"verdict": "pass", "shapes": {"/args/0": [2, 3], "/kwargs/mask": []}}
    assert SetResult(Verdict.PASS).to_json() == {"verdict": "pass"}


@pytest.mark.parametrize(
    ("in_place", "message", "verdict"),
    [
        (False, "expected stride 288", Verdict.UNSUPPORTED),
        (True, "expected stride 288", Verdict.ERROR),
        # A set that may be refused has not been: there was no memory for it.
        (False, "CUDA out of memory. Tried to allocate 2.00 GiB", Verdict.OUT_OF_MEMORY),
    ],
)
def test_what_was_exported_may_refuse_a_set_and_what_is_compiled_of_the_model_may_not(
    in_place: bool, message: str, verdict: Verdict, tmp_path: Path
) -> None:
    def ask(worker: object, op: str, **fields: Any) -> None:
        raise WorkerRefused("AssertionError", message, "", "", on_gpu=True)

    signature = Signature(file="model", layout="tree", inputs=(Input("/kwargs/image", (3, 16)),))
    made = sets([3, 16], first=[3, 16], other=[5, 16])
    made.registry = SimpleNamespace(format=lambda name: SimpleNamespace(REPEATS=1, IN_PLACE=in_place))
    made.reload = None
    made.cell, made.worker = SimpleNamespace(format="x", runtime="y"), None
    made.artifact, made.budget = SimpleNamespace(signature=signature), SimpleNamespace(ask=ask)
    made.target = tmp_path / "outputs"
    made._other_size = lambda entry, conflict: ""
    made._other_arguments = lambda entry: None
    entry = made.judge.sets["other"]
    entry.file, entry.args, entry.kwargs, entry.may_refuse = tmp_path, [], [], True
    found = InputSets.run(cast(InputSets, made), entry)
    assert isinstance(found, SetResult)
    assert found.verdict is verdict


@pytest.mark.parametrize(
    ("more", "any_arguments", "said"),
    [
        ("this", False, "only this set has mask, and an export has one fixed list of inputs: make two cases of it"),
        ("the exported", False, "only the exported set has mask, and an export has one fixed list of inputs"),
        ("this", True, ""),
        ("no", False, ""),
    ],
)
def test_a_set_with_other_arguments_is_refused_by_what_has_one_list_of_them(
    more: str, any_arguments: bool, said: str
) -> None:
    case = sets([3, 16], first=[3, 16], other=[3, 16])
    if more != "no":
        longer = case.judge.sets["other" if more == "this" else "first"]
        longer.shapes["/kwargs/mask"] = [3]
    case.registry = SimpleNamespace(format=lambda name: SimpleNamespace(ANY_ARGUMENTS=any_arguments))
    case.cell = SimpleNamespace(format="x")
    case._other_constants = lambda entry: None
    found = InputSets._other_arguments(cast(InputSets, case), case.judge.sets["other"])
    assert (found or "").startswith(said)
    assert bool(found) == bool(said)
