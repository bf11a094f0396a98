"""What a log says of each format in each runtime."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_modelconform.report import pairs
from pytest_modelconform.report.log import Log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

PASS = Outcome(
    Verdict.PASS,
    bits=22.0,
    seconds={"export": 2.0, "load": 0.02},
    artifact_bytes=1_250_000,
    inputs={name: {"verdict": "pass", "seconds": s} for name, s in (("a", 0.001), ("b", 0.002), ("c", 0.2))},
)
WRONG = Outcome(Verdict.MISMATCH, Stage.COMPARE, "wrong", bits=1, artifact_bytes=9, seconds={"export": 99.0})
ERROR = Outcome(Verdict.ERROR, Stage.LOAD, "no", expected=True)


def cell(file: str, runtime: str = "ort", case: str = "net", dtype: str = "float32", task: str = "inference") -> Cell:
    return Cell(file, case, "onnx", runtime, dtype=dtype, task=task)


def row(*cells: tuple[Cell, Outcome], environment: dict[str, object] | None = None) -> list[str]:
    """The first row of the table, without its bars."""
    lines = pairs.render(Log(environment or {}, list(cells), True)).splitlines()
    return [word.strip() for word in lines[2].strip("|").split("|")]


def test_a_row_has_counts_and_what_is_in_the_middle() -> None:
    less = replace(PASS, bits=18.0, seconds={"export": 4.0, "load": 0.04}, artifact_bytes=3_250_000)
    least = replace(less, verdict=Verdict.IMPRECISE, bits=10.0)
    found = row((cell("a.py"), PASS), (cell("b.py"), less), (cell("c.py"), least), (cell("d.py"), ERROR))
    assert found == [
        *("`onnx`", "`ort`", "4", "2", "1", "", "1", "", "50%", "18", "4 s", "40 ms", "2 ms", "3.2 MB"),
    ]


def test_what_is_wrong_counts_in_no_number() -> None:
    assert row((cell("a.py"), PASS), (cell("b.py"), WRONG))[2:] == [
        *("2", "1", "", "1", "(1 **!**)", "", "50%", "22", "2 s", "20 ms", "2 ms", "1.2 MB"),
    ]


@pytest.mark.parametrize("of_the_other", [WRONG, ERROR, replace(PASS, verdict=Verdict.IMPRECISE)])
def test_a_paper_is_the_worst_of_its_cases(of_the_other: Outcome) -> None:
    found = row((cell("a.py"), PASS), (cell("a.py", case="wide"), of_the_other))
    assert (found[2], found[3], found[8]) == ("1", "0", "0%")


def test_what_was_not_tried_is_said_and_is_no_part_of_the_share() -> None:
    absent = Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, "install it")
    not_run = Outcome(Verdict.NOT_RUN)
    found = row((cell("a.py"), PASS), (cell("b.py"), absent), (cell("c.py"), not_run))
    assert (found[2], found[3], found[8]) == ("1 of 3", "1", "100%")
    assert row((cell("b.py"), absent))[2:9] == ["0 of 1", "0", "", "", "", "", ""]


def test_what_the_pair_cannot_do_is_part_of_the_share() -> None:
    limit = Outcome(Verdict.UNSUPPORTED, Stage.EXPORT, "no such dtype")
    found = row((cell("a.py"), PASS), (cell("b.py"), limit))
    assert (found[7], found[8]) == ("1", "50%")


def test_other_dtypes_and_tasks_have_no_part() -> None:
    others = [(cell("a.py", dtype="bfloat16"), WRONG), (cell("a.py", task="sequence"), WRONG)]
    check = (Cell("a.py", "net", "eager", "eager"), PASS)
    found = pairs.pairs(Log({}, [(cell("a.py"), PASS), *others, check], True))
    assert [(pair.column[:2], pair.counted(Verdict.PASS)) for pair in found] == [(("onnx", "ort"), 1)]


def test_variants_of_formats_are_named_and_are_no_rows() -> None:
    variant = Cell("a.py", "net", "onnx@opset18", "ort")
    text = pairs.render(Log({}, [(cell("a.py"), PASS), (variant, WRONG)], True))
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 3
    assert "Not here: <code>onnx@<!-- -->opset18</code>, which few cases have." in text


def test_a_log_that_lacks_something_says_so() -> None:
    text = pairs.render(Log({"missing": ["shard 2 of 3"]}, [(cell("a.py"), PASS)], False))
    assert "**Not all has run: shard 2 of 3.**" in text
    assert "Not all" not in pairs.render(Log({}, [(cell("a.py"), PASS)], True))


@pytest.mark.parametrize(
    ("seconds", "said"), [(12.4, "12 s"), (1.26, "1.3 s"), (0.0951, "0.095 s"), (0.0452, "45 ms"), (0.00012, "0.12 ms")]
)
def test_seconds(seconds: float, said: str) -> None:
    assert pairs.said_seconds(seconds) == said


@pytest.mark.parametrize(("size", "said"), [(1_260_000, "1.3 MB"), (99_000, "0.1 MB"), (45_400, "45 kB")])
def test_bytes(size: float, said: str) -> None:
    assert pairs.said_bytes(size) == said
