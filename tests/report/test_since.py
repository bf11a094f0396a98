"""Since which run, and which versions, a cell fails at an operator."""

from __future__ import annotations

from dataclasses import replace

from pytest_modelconform.report import history
from pytest_modelconform.report.log import Log
from pytest_modelconform.report.since import seen, since
from pytest_modelconform.terms.blame import Blame
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support.blames import FOUND, POOL, operator

CELL = Cell("net.py", "net", "onnx", "ort")
RED = Outcome(Verdict.MISMATCH, Stage.COMPARE, "wrong")
POOLED = replace(RED, blame=FOUND.to_json())
LINEAR = replace(RED, blame=Blame(guilty=(replace(POOL, operators=(operator("aten.linear"),)),)).to_json())
GREEN = Outcome(Verdict.PASS)


def log(day: int, outcome: Outcome | None, ort: str, **more: str) -> Log:
    about = {"date": f"2026-11-{day:02}T06:00:00+00:00", "processor": str(day)}
    cells = [(CELL, outcome)] if outcome is not None else []
    return Log({**about, "packages": {"onnxruntime": ort, "torch": "2.14.1", **more}}, cells, True)


def told(*logs: Log) -> list[tuple[str, int, int, str, str]]:
    return [(s.what, s.first, s.last, s.now, s.changed) for s in since([seen(found) for found in logs])]


POOL_KEY = "aten.avg_pool2d in features.pool"


def test_the_first_run_after_one_that_passes() -> None:
    assert told(log(1, GREEN, "1.30"), log(2, GREEN, "1.31"), log(3, POOLED, "1.32"), log(4, POOLED, "1.33")) == [
        (POOL_KEY, 2, 3, "fails", "onnxruntime 1.31 → 1.32")
    ]


def test_where_no_run_before_passed_there_is_no_version() -> None:
    assert told(log(1, POOLED, "1.31"), log(2, POOLED, "1.32")) == [(POOL_KEY, 0, 1, "fails", "")]
    # Nor does one count that fails, and in which nobody looked.
    assert told(log(1, RED, "1.31"), log(2, POOLED, "1.32")) == [(POOL_KEY, 1, 1, "fails", "")]


def test_runs_that_do_not_know_change_nothing() -> None:
    runs = [log(1, GREEN, "1.31"), log(2, POOLED, "1.32"), log(3, None, "1.33"), log(4, RED, "1.34")]
    assert told(*runs, log(5, POOLED, "1.35")) == [(POOL_KEY, 1, 4, "fails", "onnxruntime 1.31 → 1.32")]


def test_a_run_that_passes_ends_it_and_another_operator_is_another_entry() -> None:
    runs = [log(1, POOLED, "1.30"), log(2, GREEN, "1.31"), log(3, LINEAR, "1.31")]
    # What fails now comes first.
    assert told(*runs) == [
        ("aten.linear", 2, 2, "fails", "the same versions"),
        (POOL_KEY, 0, 0, "passes", ""),
    ]


def test_a_run_that_names_another_one_ends_it() -> None:
    runs = [log(1, GREEN, "1.30"), log(2, POOLED, "1.31"), log(3, LINEAR, "1.32"), log(4, RED, "1.33")]
    assert told(*runs) == [
        ("aten.linear", 2, 2, "fails", "onnxruntime 1.31 → 1.32"),
        (POOL_KEY, 1, 1, "fails at another one", "onnxruntime 1.30 → 1.31"),
    ]


def test_of_many_versions_a_few_are_named() -> None:
    [(*_, changed)] = told(
        log(1, GREEN, "1", **dict.fromkeys("abcde", "1")), log(2, POOLED, "2", **dict.fromkeys("abcde", "2"))
    )
    assert changed == "a 1 → 2, b 1 → 2, c 1 → 2, d 1 → 2, and 2 more"


def test_the_history_page_tells() -> None:
    logs = [log(2, POOLED, "1.32"), log(1, GREEN, "1.31")]
    page = history.render([history.run_of(f"{i}.jsonl", found) for i, found in enumerate(logs)])
    assert f"<td><code>{CELL.id}</code></td><td><code>{POOL_KEY}</code></td>" in page
    assert "<td>2026-11-02 <code>0.jsonl</code></td><td>onnxruntime 1.31 → 1.32</td>" in page
    assert '<td class="bad">fails</td>' in page
    assert "Guilty operators" not in history.render([history.run_of("1.jsonl", logs[1])])
