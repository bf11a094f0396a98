from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest

from pytest_modelconform.report import history
from pytest_modelconform.report.log import Log, LogError
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import LEFT_OUT, Outcome, Stage, Verdict
from tests.support import nasty

PASS, ERROR = Outcome(Verdict.PASS), Outcome(Verdict.ERROR, Stage.RUN)
ORT, TORCH = Cell("a.py", "a", "onnx", "ort"), Cell("a.py", "a", "export", "torch")


def log(day: int, *cells: tuple[Cell, Outcome], complete: bool = True) -> Log:
    return Log({"date": f"2026-11-{day:02}T06:00:00+00:00", "packages": {"torch": "2.14.1"}}, [*cells], complete)


def test_a_run() -> None:
    check = (Cell("a.py", "a", "eager", "eager"), PASS)
    run = history.run_of("a.jsonl", log(3, check, (ORT, PASS), (TORCH, ERROR)))
    assert (run.passed, run.total, run.unexpected, run.versions, run.incomplete) == (1, 2, 1, "torch 2.14.1", "")
    assert {column[:2]: counts for column, counts in run.columns.items()} == {
        ("onnx", "ort"): (1, 1),
        ("export", "torch"): (0, 1),
    }
    assert run.date.isoformat() == "2026-11-03T06:00:00+00:00"
    assert history.run_of("a", log(3, complete=False)).incomplete == "cut off"
    assert history.run_of("a", log(3, (ORT, Outcome(Verdict.NOT_RUN)))).incomplete == "cut off"
    assert history.run_of("a", log(3, (ORT, Outcome(Verdict.NOT_RUN, None, f"{LEFT_OUT}slow")))).incomplete == ""
    lacking = Log({"date": "2026-11-03", "missing": ["shard 2 of 3"]}, [], False)
    assert history.run_of("a", lacking).incomplete == "lacks shard 2 of 3"
    assert history.run_of("a", lacking).date.tzinfo is datetime.timezone.utc


@pytest.mark.parametrize("date", [None, "", "yesterday", 7])
def test_a_log_without_a_date(date: object) -> None:
    with pytest.raises(LogError, match=r"a.jsonl has no date in its header"):
        history.run_of("a.jsonl", Log({"date": date}, [], True))


def runs() -> list[history.Run]:
    logs = [
        log(5, (ORT, PASS), (TORCH, PASS)),
        log(1, (ORT, ERROR)),
        log(3, (ORT, PASS), (TORCH, ERROR), complete=False),
    ]
    return [history.run_of(f"{i}.jsonl", found) for i, found in enumerate(logs)]


def test_the_chart() -> None:
    drawn = history.chart(sorted(runs(), key=lambda run: run.date), width=260, height=137)
    assert drawn.most == 2
    # Left to right in time; the bottom is 0, the top the most.
    assert drawn.passed == "45.0,112.0 145.0,62.0 245.0,12.0"
    assert drawn.total == "45.0,62.0 145.0,12.0 245.0,12.0"
    assert [(mark[2], mark[3]) for mark in drawn.marks] == [
        ("2026-11-01 1.jsonl: 0 of 1 pass", False),
        ("2026-11-03 2.jsonl: 1 of 2 pass", True),
        ("2026-11-05 0.jsonl: 2 of 2 pass", False),
    ]
    assert [text for _, text, _ in drawn.dates] == ["2026-11-01", "2026-11-03", "2026-11-05"]


def test_the_line_of_a_column() -> None:
    assert history.spark([(1, 1), (0, 1), (1, 2)], width=20, height=24) == ["0.0,2.0 10.0,22.0 20.0,12.0"]
    # A run that hasn't got the column, or in which nothing of it could run, is a gap.
    assert history.spark([(1, 1), None, (0, 0), (1, 1)], width=30, height=24) == [
        "0.0,2.0 2.0,2.0",
        "30.0,2.0 32.0,2.0",
    ]
    assert history.spark([None]) == []


def test_the_page() -> None:
    page = history.render(runs(), ["junk.jsonl:1: no record"])
    assert "3 runs; in the last one 2 of the 2 cells that could run pass." in page
    tags = nasty.Tags(page)
    assert next(attributes.get("aria-label") for tag, attributes in tags.found if tag == "svg")
    rows = re.findall(r"<tr><td><code>(.*?)</code>", page)
    assert rows == ["export", "onnx"]
    assert '<td class="number">1/1</td><td class="number">0/1</td>' in page
    assert page.index("0.jsonl</code>") < page.index("2.jsonl</code>") < page.index("1.jsonl</code>")
    assert "<li>junk.jsonl:1: no record</li>" in page


def test_one_run_and_none() -> None:
    assert "1 run;" in history.render(runs()[:1])
    assert "No logs yet." in history.render([])


def test_it_stands_alone_whatever_names_and_texts_hold(tmp_path: Path) -> None:
    for found in (nasty.log(), nasty.reread(tmp_path)):
        page = history.render([history.run_of(text, found) for text in nasty.TEXTS], nasty.TEXTS, nasty.TEXTS[0])
        shown = nasty.assert_harmless(
            page,
            {
                "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "code", "ul", "li",
                "div", "table", "tr", "th", "td", "svg", "line", "text", "polyline", "circle",
            },
        )  # fmt: skip
        assert "url(" not in page
        assert "://" not in page
        assert "<script>alert(1)</script>" in "".join(shown.text)
