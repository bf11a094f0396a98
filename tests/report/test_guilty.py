"""What blame came to, in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_modelconform.report import changes, csv_report, diff, junit, log, markdown, summary
from pytest_modelconform.report.guilty import is_blame, keys, lines, place
from pytest_modelconform.report.merge import merge
from pytest_modelconform.terms.blame import EXPORTER, Blame, Guilty
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support.blames import CASE, FOUND, POOL, operator

CELL = Cell("net.py", "net", "onnx", "ort")
WRONG = Outcome(Verdict.MISMATCH, Stage.COMPARE, "output loses 9 bits", bits=3.1)


def two() -> Guilty:
    return Guilty(operators=(operator("aten.mul.Tensor"), operator("aten.add.Tensor")), stage="load", message="no")


@pytest.mark.parametrize(
    ("guilty", "said"),
    [
        (
            POOL,
            "aten.avg_pool2d in features.pool (net.py:12: self.pool(x)), in the runtime; 3.1 of 22.0 bits right there",
        ),
        (
            replace(POOL, bits=None, party=EXPORTER),
            "aten.avg_pool2d in features.pool (net.py:12: self.pool(x)), in the exporter",
        ),
        (
            replace(POOL, bits=-0.4, of=None, operators=(operator("aten.relu.default"),)),
            "aten.relu, in the runtime; 0.0 bits right there",
        ),
        (
            replace(POOL, bits=None, operators=(replace(POOL.operators[0], module="layer1.0", file=""),)),
            "aten.avg_pool2d in AvgPool2d layer1.0, in the runtime",
        ),
        (two(), "aten.mul.Tensor and aten.add.Tensor, only together,"),
        (
            replace(two(), operators=tuple(operator(f"aten.op{i}") for i in range(5))),
            "aten.op0 … aten.op4 (5 operators, only together)",
        ),
        (replace(POOL, operators=()), "an operator, in the runtime; 3.1 of 22.0 bits right there"),
    ],
)
def test_a_place_is_a_line(guilty: Guilty, said: str) -> None:
    assert place(guilty) == said


def test_a_long_line_of_code_is_cut_and_a_path_is_a_name() -> None:
    long = replace(POOL.operators[0], file="/a b/c\\net.py", source="  x = " + "very " * 30 + "long(x)\n", module="")
    found = place(replace(POOL, operators=(long,)))
    assert found.startswith("aten.avg_pool2d (net.py:12: x = very very")
    assert "…), in the runtime" in found
    assert len(found) < 150


def test_one_to_four_lines() -> None:
    assert lines(FOUND) == [f"guilty: {place(POOL)}", "ort-cpp runs the same file.", "It was exported anew."]
    many = replace(FOUND, guilty=(POOL,) * 5)
    assert len(lines(many)) == 4
    assert lines(many)[1].endswith(" (and 3 more, in the report)")
    assert lines(Blame(note="time ended after 3 parts")) == ["guilty operator not found: time ended after 3 parts"]
    assert lines(Blame(note="Time ended."))[0] == "guilty operator not found. Time ended."
    assert lines(Blame()) == ["guilty operator not found"]


def test_the_log_keeps_it_and_so_does_a_merged_one(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with log.LogWriter(path, {"date": "2026-11-29"}) as writer:
        writer.cell(CELL, WRONG)
        writer.blame(CELL, FOUND.to_json())
        # Of a cell that the log does not have.
        writer.blame(replace(CELL, case="other"), FOUND.to_json())
    [(cell, outcome)] = log.read(path).cells
    assert cell == CELL
    assert outcome.blame is not None
    assert Blame.from_json(outcome.blame) == FOUND
    log.write(merge([("log", log.read(path))]), tmp_path / "merged.jsonl")
    assert log.read(tmp_path / "merged.jsonl").cells == [(cell, outcome)]
    # Whichever of the logs knows it.
    without = log.Log({"date": "2026-11-29"}, [(cell, WRONG)], True)
    assert merge([("one", without), ("two", log.read(path))]).cells == [(cell, outcome)]


@pytest.mark.parametrize(
    "fault",
    [
        7,
        {"guilty": 3},
        {"guilty": [{"stage": "run"}]},
        {"note": ["x"]},
        {"guilty": [{"operators": [{"name": 1, "target": "", "call": ""}], "stage": "", "message": ""}]},
        {"seconds": "long"},
    ],
)
def test_what_is_none_is_refused(tmp_path: Path, fault: object) -> None:
    assert is_blame(json.loads(json.dumps(FOUND.to_json())))
    assert not is_blame(fault)
    path = tmp_path / "log.jsonl"
    with log.LogWriter(path, {}) as writer:
        writer.cell(CELL, WRONG)
        writer.blame(CELL, fault)  # type: ignore[arg-type]
    with pytest.raises(log.LogError, match=r":3: .* blame is not"):
        log.read(path)


def test_who_knows_nothing_of_it_reads_the_log(tmp_path: Path) -> None:
    """Readers pass over kinds of lines, and fields of records, that they don't know."""
    path = tmp_path / "log.jsonl"
    with log.LogWriter(path, {}) as writer:
        writer.cell(CELL, replace(WRONG, blame={**FOUND.to_json(), "later": 1}))
        writer._line({"kind": "later", "cell": 3})
    [(_, outcome)] = log.read(path).cells
    assert outcome.blame is not None
    assert Blame.from_json(outcome.blame) == FOUND


def test_other_reports_show_it() -> None:
    red = replace(WRONG, blame=FOUND.to_json())
    found = log.Log({"date": "2026-11-29T06:00:00+00:00"}, [(CELL, red)], True)
    said = place(POOL)
    assert f"- guilty: {markdown.escaped(said)}" in summary.render(found)
    assert f"guilty: {markdown.escaped(said)}" in markdown.render(found)
    assert f'name="guilty" value="{said}"' in junit.render(found)
    assert f"guilty: {said}" in junit.render(found)
    [head, row, *_] = csv_report.render(found).splitlines()
    assert head.endswith(",guilty")
    assert said in row
    # Without one nothing is said.
    for render in (summary.render, markdown.render, junit.render):
        assert "guilty" not in render(log.Log({}, [(CELL, WRONG)], True))


def test_what_tells_runs_apart_is_operator_and_module() -> None:
    moved = replace(POOL, operators=(replace(POOL.operators[0], line=99),), bits=2.0)
    assert keys(replace(WRONG, blame=FOUND.to_json())) == ["aten.avg_pool2d in features.pool"]
    assert keys(replace(WRONG, blame=Blame(guilty=(moved,)).to_json())) == ["aten.avg_pool2d in features.pool"]
    assert keys(WRONG) == ()
    assert CASE.count("\n") < 40


def test_a_diff_names_it_and_sees_another_one() -> None:
    def compared(old: Outcome, new: Outcome) -> str:
        logs = [log.Log({}, [(CELL, outcome)], True) for outcome in (old, new)]
        found = diff.compare(*logs)
        assert (
            ("aten" in changes.markdown(found, 9000))
            == ("aten" in changes.text(found))
            == ("aten" in changes.html(found))
        )
        return changes.text(found)

    pool, linear = (
        replace(WRONG, blame=Blame(guilty=(guilty,)).to_json())
        for guilty in (POOL, replace(POOL, operators=(operator("aten.linear"),)))
    )
    assert f"\n      output loses 9 bits\n      guilty: {place(POOL)}\n" in compared(Outcome(Verdict.PASS), pool)
    assert compared(pool, pool) == compared(pool, WRONG) == compared(WRONG, pool) == "No changes; 1 cell as before.\n"
    assert "1 fails otherwise" in compared(pool, linear)
    assert "mismatch at stage compare, guilty: aten.avg_pool2d in features.pool → aten.linear" in compared(pool, linear)
