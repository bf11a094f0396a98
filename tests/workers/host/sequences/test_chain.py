"""Eager's chains: what is fed back, what of that is said to be wrong, and how the noise of many steps is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_modelconform.compare import compare_tensor
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.workers import arrays
from pytest_modelconform.workers.loop import WorkerError
from tests.support import sequences


def runs_of(folder: Path, step: int) -> dict[str, Any]:
    return arrays.read(folder / f"runs-step-{step}.safetensors")


def test_each_chain_is_fed_with_its_own_outputs(tmp_path: Path) -> None:
    found = sequences.answer(tmp_path, sequences.case())
    assert list(found["sets"]) == ["step-1", "step-2", "step-3", "step-4"]
    assert found["wires"] == [["/kwargs/state", "/state"]]
    made, _ = sequences.built(tmp_path, sequences.case())
    wide = made.model.double()
    state = torch.zeros(6, 12, dtype=torch.float64)
    for step in range(1, 5):
        inputs, runs = arrays.read(tmp_path / f"inputs-step-{step}.safetensors"), runs_of(tmp_path, step)
        if step > 1:
            assert inputs["/kwargs/state"].tobytes() == runs_of(tmp_path, step - 1)["e0:/state"].tobytes()
        x = torch.from_numpy(np.array(inputs["/kwargs/x"])).double()
        with torch.no_grad():
            state = wide(x, state)["state"]
        # Not by way of float32: that would be off by 1e-8.
        np.testing.assert_allclose(runs["r:/state"], state.numpy(), rtol=0, atol=1e-13)
        moved = [runs[f"e{k}:/state"] for k in range(1, 6)]
        assert len({run.tobytes() for run in moved}) == 5


def noise(folder: Path, step: int, *runs: int) -> float:
    found = runs_of(folder, step)
    return max(float(np.sqrt(np.mean((found[f"e{k}:/state"] - found["r:/state"]) ** 2))) for k in runs)


def test_what_adds_up_is_in_the_noise(tmp_path: Path) -> None:
    # An engine whose rounding is the same in each step is off by n times that of one, not by its root.
    same = 'carry={"state": "state"}, steps=20, inputs=lambda step: {"state": torch.zeros(6, 12)} if step == 0 else {}'
    sequences.answer(tmp_path, sequences.case("state + torch.tanh(self.inner(x))", same))
    assert noise(tmp_path, 20, 1, 2) > 4 * noise(tmp_path, 1, 1, 2)
    assert noise(tmp_path, 20, 3, 4, 5) > 1.5 * noise(tmp_path, 20, 1, 2)


def test_where_rounding_decides_the_last_chains_are_wide(tmp_path: Path) -> None:
    found = sequences.case("state + (self.inner(x) > 0.0)")
    sequences.answer(tmp_path, found)
    assert not {"e4:/y", "e5:/y"} & runs_of(tmp_path, 4).keys()
    assert "e3:/y" in runs_of(tmp_path, 4)


def test_of_equal_elements_any_index_may_come(tmp_path: Path) -> None:
    order = '"state": after, "order": (x > 9.0).float().topk(5).indices}'
    found = sequences.case().replace('"state": after}', order)
    assert found != sequences.case()
    sequences.answer(tmp_path, found)
    tied = [name for name in runs_of(tmp_path, 2) if name.startswith("tied:")]
    assert tied == ["tied:/order"]
    eager = runs_of(tmp_path, 2)["e0:/order"]
    made = sequences.prepared(tmp_path, found).sets["step-2"].references["['order']"]
    assert made.unstable
    assert made.allowed is None
    others = np.flip(eager, -1) + 7
    assert compare_tensor(others, made, Tolerance(), where="output", dtype="int64").ok


def test_what_is_lost_without_a_difference(tmp_path: Path) -> None:
    assert sequences.answer(tmp_path, sequences.case())["lost"] == []
    found = sequences.answer(tmp_path, sequences.case("0.0 * state + torch.tanh(self.inner(x))"))
    assert len(found["lost"]) == 1


def test_another_dtype(tmp_path: Path) -> None:
    found = sequences.answer(tmp_path, sequences.case(), "bfloat16")
    assert found["sets"]["step-2"]["impure"] == ""
    assert runs_of(tmp_path, 4)["e0:/y"].dtype.name == "bfloat16"


@pytest.mark.parametrize(
    ("sequence", "says"),
    [
        ("carry={'stat': 'state'}, steps=3", "carry: the input set 'six' gives no argument 'stat'; it gives x, state"),
        ("carry={'state/0': 'state'}, steps=3", "carry: there is no tensor 'state/0' among the inputs; there are /"),
        ("carry={'state': 'stat'}, steps=3", "the model returns no tensor 'stat': name one of 'y', 'state'"),
        (
            "carry={'state': ''}, steps=3",
            "'state' takes one tensor, and output '' has 'y', 'state'. Both must have the same places: carry each by",
        ),
        (
            "carry={'state': 'state', '/kwargs/state': 'state'}, steps=3",
            "carry: two outputs are carried to /kwargs/state: leave one of them out",
        ),
        ("carry={'state': 'y'}, steps=3", "the model itself fails in step-2: RuntimeError"),
        (
            "carry={'state': 'state'}, steps=3, inputs=lambda step: {'z': torch.zeros(1)}",
            "inputs(0) gives 'z', which the input set 'six' doesn't give: an export takes the arguments of that set, "
            "which are x, state",
        ),
        (
            "carry={'state': 'state'}, steps=3, inputs=lambda step: torch.zeros(1)",
            "inputs(0) returned a Tensor: return a dict by the names of arguments",
        ),
        (
            "carry={'state': 'state'}, steps=3, inputs=lambda step: {'x': torch.zeros(6, 12).double()}",
            "is float32 in the input set 'six', and float64 in this step: give the same dtype",
        ),
        (
            "carry={'state': 'state'}, steps=3, inputs=lambda step: {'x': None}",
            "is a tensor in the input set 'six', and not in this step: give the same nest of tensors",
        ),
        ("carry={'state': 'state'}, steps=3, inputs=lambda step: {} if step == 0 else 1 / 0", "inputs(1): "),
        (
            "carry={'state': 'state'}, steps=3, inputs=lambda step: {'x': torch.randn(6 + step, 12)}",
            "'batch' is 7 in x and 6 in state (input set 'step-2'",
        ),
    ],
)
def test_what_does_not_fit(tmp_path: Path, sequence: str, says: str) -> None:
    with pytest.raises(WorkerError) as error:
        sequences.answer(tmp_path, sequences.case(sequence=sequence))
    assert says in str(error.value)
    assert error.value.stage in ("build", "reference")
    assert len(str(error.value).splitlines()) <= 12


def test_tensors_of_another_dtype_are_not_carried(tmp_path: Path) -> None:
    text = sequences.case("(state + self.inner(x)).double()").replace("self.outer(after)", "self.outer(after.float())")
    with pytest.raises(WorkerError, match=r"'state' is float32, and output 'state' is float64: return what the next"):
        sequences.answer(tmp_path, text)


def test_what_a_step_reads_is_a_file_of_the_case(tmp_path: Path) -> None:
    # Else the cache would not see that it has changed.
    file = tmp_path / "sound.bin"
    file.write_bytes(b"12")
    read = f"carry={{'state': 'state'}}, steps=2, inputs=lambda step: open({str(file)!r}).close() or {{}}"
    assert str(file) in sequences.answer(tmp_path, sequences.case(sequence=read))["files"]
