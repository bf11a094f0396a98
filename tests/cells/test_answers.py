from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.cells.answers import (
    SetResult,
    UnsuitableInputs,
    compare_runs,
    named_outputs,
    other_constants,
    read_runs,
    run_request,
    static_conflict,
    summarise,
)
from pytest_modelconform.cells.protocol import RunAnswer
from pytest_modelconform.cells.typed import read
from pytest_modelconform.compare import Reference, make_reference
from pytest_modelconform.references.prepared import InputSet, sizes
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.terms.outcome import Stage, Verdict
from pytest_modelconform.terms.signature import Signature
from pytest_modelconform.workers import arrays

X = np.linspace(-1.0, 2.0, 40, dtype=np.float32)
PAIR = {"tuple": [{"tensor": "/0"}, {"dict": [["scores", {"tensor": "/1/scores"}]]}]}
FLAT = {
    "file": "model.onnx",
    "layout": "flat",
    "inputs": [{"name": "x", "path": "/args/0", "dtype": "float32", "shape": ["batch", 3]}],
    "dropped": ["/args/1"],
    "outputs": [{"name": "b", "path": "/1/scores"}, {"name": "a", "path": "/0"}],
}

SIGNATURE = Signature.read(FLAT)


def reference(values: Any = X) -> Reference:
    noisy = [values * np.float32(1 + k * 6e-8) for k in (-1, 1)]
    return make_reference(values.astype(np.float64), values, noisy, values.dtype.name)


def input_set(shapes: dict[str, list[int]], outputs: Any = PAIR, **references: Reference) -> InputSet:
    return InputSet("one", Path("inputs"), [{"tensor": "/args/0"}], [], outputs, shapes, frozenset(), references)


def two_outputs() -> InputSet:
    entry = input_set({"/args/0": [2, 3]})
    return InputSet(**{**vars(entry), "references": {"[0]": reference(), "[1]['scores']": reference(X * 2)}})


# Probabilities between 1e-9 and 1, and what is right to 1e-6 of them.
SMALL = (10.0 ** np.linspace(-9, 0, 40)).astype(np.float32)
ROUNDED = np.round(SMALL * np.float32(1e6)) / np.float32(1e6)


def runs_of(first: Any, second: Any) -> list[Any]:
    """One run, in the structure of `two_small_outputs`."""
    return [(PAIR, {"/0": first, "/1/scores": second})]


def two_small_outputs() -> InputSet:
    entry = input_set({"/args/0": [2, 3]})
    return InputSet(**{**vars(entry), "references": {"[0]": reference(SMALL), "[1]['scores']": reference(SMALL)}})


def answer(*runs: Any) -> RunAnswer:
    return read({"runs": list(runs)}, RunAnswer)


def test_a_flat_request_feeds_by_graph_name_and_leaves_dropped_inputs_out() -> None:
    request = run_request(SIGNATURE, input_set({"/args/0": [2, 3], "/args/1": [1]}))
    assert (request["feeds"], request["fetches"]) == ([["x", "/args/0"]], ["b", "a"])
    # For a worker that calls the artifact like the model.
    assert (request["args"], request["kwargs"]) == ([{"tensor": "/args/0"}], [])


def test_an_input_set_with_other_tensors_than_the_exported_one_is_unsuitable() -> None:
    with pytest.raises(UnsuitableInputs, match="only this set has input 2, and an export has one"):
        run_request(SIGNATURE, input_set({"/args/0": [2, 3], "/args/1": [1], "/args/2": [1]}))


@pytest.mark.parametrize(("shape", "conflict"), [([2, 3], False), ([7, 3], False), ([2, 4], True), ([2, 3, 1], True)])
def test_a_shape_that_the_signature_declares_static_is_a_conflict(shape: list[int], conflict: bool) -> None:
    said = static_conflict(SIGNATURE, input_set({"/args/0": shape}))
    assert (said is not None) is conflict
    if said:
        assert "declares /args/0 as (batch, 3)" in said


def test_torchscript_declares_nothing_and_so_conflicts_with_nothing() -> None:
    assert (
        static_conflict(Signature.read({"file": "a", "layout": "tree", "inputs": None}), input_set({"/args/0": [9]}))
        is None
    )


def test_graph_outputs_go_where_the_signature_says_whatever_their_order() -> None:
    tree = {"dict": [["a", {"tensor": "0/a"}], ["b", {"tensor": "0/b"}]]}
    assert named_outputs(tree, SIGNATURE, PAIR) == {
        "tuple": [{"tensor": "0/a"}, {"dict": [["scores", {"tensor": "0/b"}]]}],
    }


def test_a_graph_with_more_outputs_than_this_input_set_has_can_not_be_equal() -> None:
    tree = {"dict": [["a", {"tensor": "0/a"}], ["b", {"tensor": "0/b"}]]}
    entry = input_set({}, {"list": [{"tensor": "/0"}]})
    entry = InputSet(**{**vars(entry), "references": {"[0]": reference()}})
    result = compare_runs(
        [(named_outputs(tree, SIGNATURE, entry.outputs), {"0/a": X, "0/b": X})], entry, Tolerance(), {}
    )
    assert result.verdict is Verdict.MISMATCH
    assert "returns 2 tensors, the model returns 1" in result.message


def test_a_worker_that_called_a_graph_like_the_model_returned_what_the_model_does(tmp_path: Path) -> None:
    arrays.write(tmp_path / "out", {"0/0": X, "0/1/scores": X * 2})
    tree = {"tuple": [{"tensor": "0/0"}, {"dict": [["scores", {"tensor": "0/1/scores"}]]}]}
    [(found, _)] = read_runs(answer({"layout": "tree", "outputs": tree}), tmp_path / "out", 1, SIGNATURE, PAIR)
    assert found == tree


def test_an_answer_without_one_of_the_outputs_is_nonsense() -> None:
    with pytest.raises(KeyError):
        named_outputs({"dict": [["a", {"tensor": "0/a"}]]}, SIGNATURE, PAIR)


def test_runs_are_read_once_where_they_are_the_same(tmp_path: Path) -> None:
    arrays.write(tmp_path / "out", {"0/a": X, "0/b": X * 2, "2/a": X + 1, "2/b": X})
    first = {"seconds": 0.1, "outputs": {"dict": [["a", {"tensor": "0/a"}], ["b", {"tensor": "0/b"}]]}}
    third = {"seconds": 0.1, "outputs": {"dict": [["a", {"tensor": "2/a"}], ["b", {"tensor": "2/b"}]]}}
    runs = read_runs(answer(first, {"seconds": 0.1, "same_as": 0}, third), tmp_path / "out", 3, SIGNATURE, PAIR)
    assert [sorted(found) for _, found in runs] == [["0/a", "0/b"], ["2/a", "2/b"]]


@pytest.mark.parametrize(
    ("runs", "repeats", "fault"),
    [
        ([{"same_as": 0}], 1, "run 0 is said to be the same as run 0"),
        ([{"same_as": -1}], 1, "the same as run -1"),
        ([], 2, "0 runs instead of 2"),
    ],
)
def test_runs_that_can_not_be_are_refused(tmp_path: Path, runs: list[Any], repeats: int, fault: str) -> None:
    arrays.write(tmp_path / "out", {"0/a": X})
    with pytest.raises(ValueError, match=fault):
        read_runs(answer(*runs), tmp_path / "out", repeats, SIGNATURE, PAIR)


def test_every_distinct_run_is_compared_and_the_worst_counts() -> None:
    entry = two_outputs()
    good = (PAIR, {"/0": X, "/1/scores": X * 2})
    bad = (PAIR, {"/0": X, "/1/scores": X * np.float32(2.01)})
    assert compare_runs([good], entry, Tolerance(), {}).verdict is Verdict.PASS
    result = compare_runs([good, bad], entry, Tolerance(), {})
    assert result.verdict is Verdict.MISMATCH
    assert result.stage is Stage.COMPARE
    assert result.message.startswith("run 2 (the first one gave other bits): wrong values: output[1]['scores'][")
    assert result.numbers["bits"] is not None
    assert result.outputs is not None
    assert result.numbers["bits"] < 10 < result.outputs["output[0]"]["bits"]
    # What is said of an output is of the run in which it is wrong, in whatever order they come.
    for runs in ([good, bad], [bad, good]):
        outputs = compare_runs(runs, entry, Tolerance(), {}).outputs or {}
        assert outputs["output[1]['scores']"]["bits"] < 10
        assert outputs["output[1]['scores']"]["wrong"] == "mismatch"


def test_an_output_has_what_a_report_shows_of_it() -> None:
    entry = input_set({}, {"tensor": ""}, **{"": reference()})
    wrong = X.copy()
    wrong[7] = 9.0
    found = compare_runs([({"tensor": "a"}, {"a": wrong})], entry, Tolerance(), {}).to_json()["outputs"]["output"]
    assert (found["identical"], found["worst_index"], found["actual"]) == (False, (7,), 9.0)
    assert found["wrong"] == "mismatch"
    assert found["expected"] == float(X[7])
    assert sum(found["histogram"]) == X.size
    same = compare_runs([({"tensor": "a"}, {"a": X.copy()})], entry, Tolerance(), {}).to_json()["outputs"]["output"]
    assert same["identical"] is True
    assert sum(same["histogram"]) == X.size
    assert not {"worst_index", "actual", "expected", "wrong"} & set(same)
    close = X * np.float32(1 + 2**-18)
    near = compare_runs([({"tensor": "a"}, {"a": close})], entry, Tolerance(), {}).to_json()["outputs"]["output"]
    assert near["wrong"] == "imprecise"


def test_a_narrowed_dtype_is_a_mismatch_unless_the_runtime_is_known_to_narrow() -> None:
    values = np.arange(40, dtype=np.int64)
    exact = make_reference(None, values, [values, values], "int64")
    entry = input_set({}, {"tensor": ""})
    entry = InputSet(**{**vars(entry), "references": {"": exact}})
    run = ({"tensor": "k"}, {"k": values.astype(np.int32)})
    result = compare_runs([run], entry, Tolerance(), {})
    assert result.verdict is Verdict.MISMATCH
    assert "int32" in result.message
    assert compare_runs([run], entry, Tolerance(), {"int64": "int32"}).verdict is Verdict.PASS


def test_a_cell_is_as_bad_as_its_worst_input_set_and_names_it() -> None:
    inputs = {
        "one": SetResult(Verdict.PASS, numbers={"bits": 22.0, "loss": 0.5}),
        "two": SetResult(Verdict.MISMATCH, Stage.COMPARE, "wrong", {"bits": 3.0, "loss": 19.0}),
    }
    outcome = summarise(inputs)
    assert (outcome.verdict, outcome.stage) == (Verdict.MISMATCH, Stage.COMPARE)
    assert (outcome.bits, outcome.loss) == (3.0, 19.0)
    assert outcome.message == "input set 'two': wrong"


def test_which_input_sets_are_right_is_said_with_their_sizes() -> None:
    """Before what is long: reports cut messages."""
    entry = {**vars(two_outputs()), "names": {"/args/0": "x"}}
    given = {
        name: InputSet(**{**entry, "shapes": {"/args/0": shape, "/args/1": [8]}})
        for name, shape in (("five", [2, 5]), ("again", [2, 5]), ("nine", [2, 9]), ("two", [2, 2]))
    }
    long = SetResult(Verdict.ERROR, Stage.RUN, "RuntimeError: select()\n" + "a line\n" * 20)
    results = {
        "five": SetResult(Verdict.PASS),
        "again": SetResult(Verdict.PASS),
        "nine": SetResult(Verdict.MISMATCH, Stage.COMPARE, "wrong values: …"),
        "two": long,
    }
    assert summarise(results, sizes=sizes(given)).message.splitlines()[:3] == [
        "input set 'nine': wrong values: …",
        "Right for x (2, 5) ('five', 'again'), wrong for x (2, 9) ('nine'), an error for x (2, 2) ('two').",
        "input set 'two': RuntimeError: select()",
    ]
    # What passes because no number of it was compared is no example.
    assert "auto-zeros" not in summarise({**results, "auto-zeros": SetResult(Verdict.PASS)}, sizes=sizes(given)).message
    nine = {"nine": results["nine"], "auto-zeros": SetResult(Verdict.PASS)}
    assert summarise(nine, sizes=sizes(given)).message == "input set 'nine': wrong values: …"
    del results["two"], given["two"]
    # Where all have one size, or nothing is right, there are names only, or nothing to say.
    alike = {name: InputSet(**{**vars(entry), "shapes": {"/args/0": [2]}}) for name, entry in given.items()}
    assert summarise(results, sizes=sizes(alike)).message.splitlines()[1:] == [
        "Right for 'five', 'again', wrong for 'nine'."
    ]
    assert summarise({"nine": results["nine"]}, sizes=sizes(given)).message == "input set 'nine': wrong values: …"


def test_a_mismatch_of_structure_has_no_numbers_not_even_those_of_the_other_input_sets() -> None:
    entry = two_outputs()
    result = compare_runs([({"list": [{"tensor": "/0"}]}, {"/0": X})], entry, Tolerance(), {})
    assert (result.verdict, result.numbers["bits"]) == (Verdict.MISMATCH, None)
    other_shape = compare_runs([(PAIR, {"/0": X[:7], "/1/scores": X * 2})], entry, Tolerance(), {})
    assert (other_shape.verdict, other_shape.numbers["bits"]) == (Verdict.MISMATCH, None)
    outcome = summarise({"one": SetResult(Verdict.PASS, numbers={"bits": 24.0}), "two": result})
    assert (outcome.verdict, outcome.bits) == (Verdict.MISMATCH, None)


def test_an_unsupported_input_set_beside_one_that_passes_is_a_note() -> None:
    refused = SetResult(Verdict.UNSUPPORTED, Stage.RUN, "declares (2, 3)")
    outcome = summarise({"one": SetResult(Verdict.PASS, numbers={"bits": 22.0}), "two": refused}, SIGNATURE)
    assert outcome.verdict is Verdict.PASS
    assert outcome.notes == (
        "input set 'two' is unsupported: declares (2, 3)",
        "the exporter dropped inputs that it took for unused: /args/1",
    )
    assert summarise({"two": refused}).verdict is Verdict.UNSUPPORTED


def test_what_the_whole_column_cannot_do_is_no_note_of_a_cell() -> None:
    refused = SetResult(Verdict.UNSUPPORTED, Stage.RUN, "keeps to its strides", limit="transposed-inputs")
    outcome = summarise({"one": SetResult(Verdict.PASS, numbers={"bits": 22.0}), "auto-transposed": refused})
    assert (outcome.verdict, outcome.notes) == (Verdict.PASS, ())
    assert outcome.inputs["auto-transposed"] == {
        "verdict": "unsupported",
        "stage": "run",
        "message": "keeps to its strides",
        "limit": "transposed-inputs",
    }


@pytest.mark.parametrize("other", [Verdict.ERROR, Verdict.TIMEOUT, Verdict.CRASH, Verdict.PASS])
def test_where_the_exported_set_is_wrong_that_is_the_verdict(other: Verdict) -> None:
    inputs = {
        "large": SetResult(other, Stage.RUN, "Gather: index 9 is out of bounds"),
        "small": SetResult(Verdict.MISMATCH, Stage.COMPARE, "wrong", {"bits": 3.0}),
    }
    outcome = summarise(inputs, exported="small")
    assert (outcome.verdict, outcome.stage, outcome.bits) == (Verdict.MISMATCH, Stage.COMPARE, 3.0)
    lines = outcome.message.splitlines()
    assert lines[0] == "input set 'small': wrong"
    # What else fails is still said.
    passes = other is Verdict.PASS
    assert lines[1:] == ([] if passes else ["input set 'large': Gather: index 9 is out of bounds"])
    # Another set's mismatch decides nothing.
    assert summarise(inputs, exported="large").verdict is (Verdict.MISMATCH if passes else other)


def test_an_exported_set_that_could_not_run_decides_nothing() -> None:
    refused = SetResult(Verdict.UNSUPPORTED, Stage.RUN, "rank 5")
    outcome = summarise({"small": refused, "large": SetResult(Verdict.ERROR, Stage.RUN, "no")}, exported="small")
    assert outcome.verdict is Verdict.ERROR


def test_a_crash_outranks_everything_and_what_did_not_run_is_said() -> None:
    inputs = {
        "one": SetResult(Verdict.CRASH, Stage.RUN, "SIGSEGV"),
        "two": SetResult(Verdict.NOT_RUN, message="the worker died in another input set"),
    }
    outcome = summarise(inputs)
    assert (outcome.verdict, outcome.stage) == (Verdict.CRASH, Stage.RUN)
    assert outcome.inputs["two"]["verdict"] == "not-run"


# -- between faithful and wrong ----------------------------------------------------------------------------------------


def test_what_is_close_in_every_output_is_imprecise() -> None:
    found = compare_runs(runs_of(ROUNDED, SMALL), two_small_outputs(), Tolerance(), {})
    assert (found.verdict, found.stage) == (Verdict.IMPRECISE, Stage.COMPARE)
    assert "of the tensor's scale" in found.message
    assert found.numbers["bits"] is not None


def test_one_output_that_is_wrong_makes_it_a_mismatch() -> None:
    wrong = SMALL[::-1].copy()
    assert compare_runs(runs_of(ROUNDED, wrong), two_small_outputs(), Tolerance(), {}).verdict is Verdict.MISMATCH
    lacking = [({"tuple": [{"tensor": "/0"}]}, {"/0": ROUNDED})]
    assert compare_runs(lacking, two_small_outputs(), Tolerance(), {}).verdict is Verdict.MISMATCH
    # So does a later run.
    both = [*runs_of(ROUNDED, SMALL), *runs_of(wrong, SMALL)]
    assert compare_runs(both, two_small_outputs(), Tolerance(), {}).verdict is Verdict.MISMATCH


def test_a_cell_is_imprecise_if_no_set_is_worse() -> None:
    close = SetResult(Verdict.IMPRECISE, Stage.COMPARE, "loses some", {"bits": 21.0})
    right = SetResult(Verdict.PASS, numbers={"bits": 23.0})
    wrong = SetResult(Verdict.MISMATCH, Stage.COMPARE, "other numbers", {"bits": 3.0})
    found = summarise({"a": right, "b": close})
    assert (found.verdict, found.stage, found.bits) == (Verdict.IMPRECISE, Stage.COMPARE, 21.0)
    assert found.message == "input set 'b': loses some"
    found = summarise({"a": close, "b": wrong})
    assert (found.verdict, found.bits) == (Verdict.MISMATCH, 3.0)
    assert found.message == "input set 'a': loses some\ninput set 'b': other numbers"
    # Numbers of what is close would hide that a mismatch has none.
    assert summarise({"a": close, "b": SetResult(Verdict.MISMATCH, Stage.COMPARE, "no numbers")}).bits is None
    refused = SetResult(Verdict.UNSUPPORTED, Stage.RUN, "static")
    assert summarise({"a": close, "b": refused}).verdict is Verdict.IMPRECISE
    assert summarise({"a": close, "b": SetResult(Verdict.ERROR, Stage.RUN, "no")}).verdict is Verdict.ERROR


@pytest.mark.parametrize(
    ("exported", "given", "said"),
    [
        ({"k": "3"}, {"k": "4"}, "this set gives k=4, the exported set k=3, and an export has that as a constant"),
        ({"k": "3", "mask": "None"}, {"k": "3"}, ""),
        # A tensor in the one and None in the other are other tensors, which other_arguments finds.
        ({}, {"mask": "None"}, ""),
    ],
)
def test_a_set_with_another_number(exported: dict[str, str], given: dict[str, str], said: str) -> None:
    entry = InputSet("one", Path("inputs"), [], [], {}, {}, frozenset(), {}, constants=given)
    found = other_constants(exported, entry)
    assert (found or "").startswith(said)
    assert bool(found) == bool(said)
