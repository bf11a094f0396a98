from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import STYLES, Outcome, Stage, Verdict
from pytest_modelconform.terms.records import from_record, plain, to_record
from pytest_modelconform.terms.wording import printable

CELL = Cell("cases/vision/resnet.py", "resnet18", "onnx", "ort-cpp")


def test_ids() -> None:
    assert CELL.id == "cases/vision/resnet.py::resnet18[onnx-ort_cpp-cpu]"
    assert Cell("a.py", "a", "torchscript-trace", "libtorch-cpp", "cuda", "bfloat16").name == (
        "a[torchscript_trace-libtorch_cpp-cuda-bfloat16]"
    )
    check = Cell("a.py", "a", "eager", "eager")
    assert (check.name, check.is_check) == ("a[eager]", True)
    assert Cell("a.py", "a", "collect", "collect").name == "a[collect]"
    assert Cell("a.py", "a", "eager", "eager", dtype="float16").name == "a[eager-float16]"
    assert replace(CELL, precision="fast").name == "resnet18[onnx-ort_cpp-cpu-fast]"
    assert replace(CELL, dtype="float64", precision="fast").name == "resnet18[onnx-ort_cpp-cpu-float64-fast]"


def test_records_survive_json() -> None:
    outcome = Outcome(
        Verdict.MISMATCH, Stage.COMPARE, "other numbers", True, 5.5, 21.0, 15.5, 14.0, 0.1,
        {"one": {"verdict": "mismatch", "bits": 5.5}}, {"run": 0.5}, 1234, False, ("a note",), ("a hint",),
    )  # fmt: skip
    assert from_record(json.loads(json.dumps(to_record(CELL, outcome)))) == (CELL, outcome)
    assert from_record(to_record(CELL, Outcome(Verdict.PASS))) == (CELL, Outcome(Verdict.PASS))


def test_a_record_from_before_there_were_hints_has_none() -> None:
    record = to_record(CELL, Outcome(Verdict.PASS, hints=("because",)))
    del record["hints"]
    assert from_record(record)[1].hints == ()


def test_a_record_from_before_threads_were_tried_has_none() -> None:
    threads = {"counts": [1, 2], "clones": [], "identical": True}
    record = to_record(CELL, Outcome(Verdict.PASS, threads=threads))
    assert from_record(record)[1].threads == threads
    del record["threads"]
    assert from_record(record)[1].threads is None


def test_a_record_from_before_artifacts_and_tags_were_noted_has_none() -> None:
    record = to_record(CELL, Outcome(Verdict.PASS, artifact="/somewhere/model.onnx", tags=("small",)))
    assert from_record(record)[1].tags == ("small",)
    del record["artifact"], record["tags"]
    outcome = from_record(record)[1]
    assert (outcome.artifact, outcome.tags) == (None, ())


def test_a_record_of_before_there_were_precisions_is_read() -> None:
    record = to_record(CELL, Outcome(Verdict.PASS))
    assert record.pop("precision") == "full"
    assert from_record(record) == (CELL, Outcome(Verdict.PASS))


def test_numbers_that_json_does_not_have_are_null() -> None:
    record = to_record(
        CELL, Outcome(Verdict.MISMATCH, bits=math.nan, max_abs=math.inf, inputs={"x": {"worst": -math.inf}})
    )
    assert (record["bits"], record["max_abs"], record["inputs"]) == (None, None, {"x": {"worst": None}})
    json.dumps(record, allow_nan=False)


def test_only_plain_values_have_a_place_in_a_record() -> None:
    import numpy as np

    assert plain((1, [2.0, {"a": Verdict.PASS, 3: None}], True)) == [1, [2.0, {"a": "pass", "3": None}], True]
    for value in (np.float32(1), np.float64(1), np.int64(1), Path(), {1}, b"x"):
        with pytest.raises(TypeError, match="has no place in a record"):
            plain(value)


@pytest.mark.parametrize("bad", ["verdict", "file", "case"])
def test_a_record_that_lacks_something_is_none(bad: str) -> None:
    record = to_record(CELL, Outcome(Verdict.PASS))
    del record[bad]
    with pytest.raises(KeyError):
        from_record(record)


def test_an_unknown_verdict_is_no_record() -> None:
    with pytest.raises(ValueError, match="maybe"):
        from_record({**to_record(CELL, Outcome(Verdict.PASS)), "verdict": "maybe"})


def test_what_would_act_on_a_terminal_is_taken_out() -> None:
    assert printable("\x1b[31mred\x1b[0m\tand\x07\x9b \x1b]0;title\x07é\nnext") == "red\tand é\nnext"
    outcome = Outcome(Verdict.ERROR, message="\x1b[2Jgone", notes=("\x1b[1mbold",), hints=("\x07because",))
    assert (outcome.message, outcome.notes, outcome.hints) == ("gone", ("bold",), ("because",))
    assert (
        to_record(CELL, Outcome(Verdict.PASS, inputs={"a": {"message": "\x1b[31mred\r"}}))["inputs"]["a"]["message"]
        == "red"
    )


def test_every_verdict_has_a_style_of_its_own() -> None:
    assert set(STYLES) == set(Verdict)
    for part in ("symbol", "letter", "rank"):
        assert len({getattr(style, part) for style in STYLES.values()}) == len(Verdict)
    assert {v for v, style in STYLES.items() if style.outcome == "failed"} == {
        Verdict.MISMATCH, Verdict.ERROR, Verdict.CRASH, Verdict.TIMEOUT, Verdict.OUT_OF_MEMORY,
    }  # fmt: skip


def test_what_is_imprecise_passes_unless_it_is_strict() -> None:
    close, strict = Outcome(Verdict.IMPRECISE), Outcome(Verdict.IMPRECISE, strict=True)
    assert (close.passed, close.failed, close.doubtful) == (True, False, True)
    assert (strict.passed, strict.failed, strict.doubtful) == (False, True, True)
    found = {v: (Outcome(v).passed, Outcome(v).failed, Outcome(v).doubtful) for v in Verdict}
    assert found[Verdict.PASS] == (True, False, False)
    assert found[Verdict.MISMATCH] == (False, True, True)
    assert found[Verdict.UNSUPPORTED] == (False, False, False)
    # No other verdict is stricter for it.
    assert all(Outcome(v, strict=True).failed == Outcome(v).failed for v in Verdict if v is not Verdict.IMPRECISE)


def test_it_is_worse_than_all_that_passes_and_better_than_all_that_fails() -> None:
    rank = STYLES[Verdict.IMPRECISE].rank
    assert all((style.rank > rank) == (style.outcome == "failed") for v, style in STYLES.items() if style.rank != rank)


def test_a_record_from_before_there_was_strictness_has_none() -> None:
    record = to_record(CELL, Outcome(Verdict.IMPRECISE, Stage.COMPARE, strict=True))
    assert from_record(record)[1].strict
    del record["strict"]
    assert not from_record(record)[1].strict


def test_stages_are_in_order() -> None:
    assert [stage.value for stage in Stage] == [
        "collect", "environment", "build", "reference", "export", "load", "run", "compare",
    ]  # fmt: skip
