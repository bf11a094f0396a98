"""Reports of many cells: what they take grows with the cells, and not with their square."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from _pytest._io import TerminalWriter

from pytest_modelconform.expected import file as expected_file
from pytest_modelconform.report import (
    csv_report,
    diff,
    html,
    json_report,
    junit,
    log,
    markdown,
    matrix,
    merge,
    summary,
    terminal,
)
from pytest_modelconform.report.entries import entries
from pytest_modelconform.report.log import Log
from pytest_modelconform.report.packed import Kept, Packed
from pytest_modelconform.report.terminal.heads import RowNames
from pytest_modelconform.terms.cell import EAGER, Cell
from pytest_modelconform.terms.outcome import NOT_FIT, Outcome, Stage, Verdict
from pytest_modelconform.terms.records import to_record
from tests.support import counting, html_logs

CASES = 40
REFUSED = {"verdict": "unsupported", "message": "refused", "outputs": {}}


def cells(cases: int) -> Iterator[tuple[Cell, Outcome]]:
    """Of each case the check, a pass, a failure with a cause that all have, one of its own, and some that follow."""
    for i in range(cases):
        name = (f"cases/family_{i // 5}.py", f"net_{i}")
        check = (
            Outcome(Verdict.ERROR, Stage.REFERENCE, "it is random") if i % 6 == 1 else Outcome(Verdict.PASS, bits=21.0)
        )
        yield Cell(*name, EAGER, EAGER), replace(check, notes=(f"a note {i}",))
        if i % 3 == 0:
            continue  # these pass everywhere
        partly = html_logs.passed(0.001)
        partly.inputs["odd"] = {**REFUSED, "message": f"refused {i}"}
        yield Cell(*name, "onnx", "ort"), partly
        yield Cell(*name, "onnx", "absent"), Outcome(Verdict.ERROR, Stage.ENVIRONMENT, "it does not start")
        yield Cell(*name, "onnx", "ort-cpp"), Outcome(Verdict.MISMATCH, Stage.COMPARE, f"other numbers {i}")
        if i % 6 == 1:
            yield Cell(*name, "export", "torch"), Outcome(Verdict.ERROR, Stage.REFERENCE, NOT_FIT)


def made(cases: int) -> Log:
    return Log(html_logs.ABOUT, [*cells(cases)], complete=True)


def written(folder: Path, cases: int) -> Path:
    """A log with a note on each cell, as agreeing runtimes leave it."""
    path = folder / f"{cases}.jsonl"
    with log.LogWriter(path, {}) as writer:
        for cell, outcome in cells(cases):
            writer.cell(cell, outcome)
        for cell, _ in cells(cases):
            writer.note(cell, "another agrees")
    return path


def on_terminal(found: Log) -> None:
    terminal.write(matrix.fold(found.cells), TerminalWriter(io.StringIO()), lambda cell: cell.id)


def names(found: Log) -> list[str]:
    rows = matrix.fold(found.cells).rows
    return [*map(RowNames(rows), rows)]


REPORTS: dict[str, Callable[[Log], object]] = {
    "matrix": lambda found: matrix.fold(found.cells),
    "entries": lambda found: entries(matrix.fold(found.cells)),
    "names": names,
    "terminal": on_terminal,
    "markdown": markdown.render,
    "summary": lambda found: summary.render(found, limit=10**9),
    "json": json_report.render,
    "html": html.render,
    "csv": csv_report.render,
    "junit": junit.render,
    "diff": lambda found: diff.compare(found, found),
    "merge": lambda found: merge.merge([("a", found), ("b", found)]),
}


@pytest.mark.parametrize("name", REPORTS)
def test_reports(name: str) -> None:
    def prepared(cases: int) -> Callable[[], object]:
        found = made(cases)
        return lambda: REPORTS[name](found)

    assert counting.growth(prepared, CASES) < counting.MOST


def test_pages_of_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MOST", 60)

    def prepared(cases: int) -> Callable[[], object]:
        found = made(cases)
        return lambda: html.write(found, tmp_path / f"{cases}.html")

    assert counting.growth(prepared, CASES) < counting.MOST
    assert len(list((tmp_path / f"{4 * CASES}.parts").iterdir())) > 5


def test_reading_a_log(tmp_path: Path) -> None:
    def prepared(cases: int) -> Callable[[], object]:
        path = written(tmp_path, cases)
        return lambda: log.read(path)

    assert counting.growth(prepared, CASES) < counting.MOST


def test_finding_and_judging_what_is_expected(tmp_path: Path) -> None:
    def prepared(cases: int) -> Callable[[], object]:
        ids = [cell.id for cell, _ in cells(cases)]
        text = "".join(
            f'[[expect]]\ncell = "{cell}"\nverdict = "error"\nstage = "run"\nreason = "known"\n'
            for cell in ids[::5]
        )  # fmt: skip
        found = expected_file.parse(text, tmp_path / "expected.toml")
        return lambda: [*map(found.find, ids), *found.check(ids)]

    assert counting.growth(prepared, CASES) < counting.MOST


# -- what is kept in memory --------------------------------------------------------------------------------------------


def test_outputs_are_packed_and_read_as_they_were(tmp_path: Path) -> None:
    found = log.read(written(tmp_path, 2))
    [outcome] = [o for c, o in found.cells if c.case == "net_1" and c.runtime == "ort"]
    outputs = outcome.inputs["pair"]["outputs"]
    assert isinstance(outputs, Packed)
    assert outputs == {"output": html_logs.output(bits=20.5)}
    assert (list(outputs), len(outputs), outputs["output"]["bits"]) == (["output"], 1, 20.5)
    assert (list(outputs.items()), list(outputs.values())) == ([("output", outputs["output"])], [outputs["output"]])
    assert repr(outputs) == repr({"output": html_logs.output(bits=20.5)})
    assert to_record(Cell("a.py", "a", "onnx", "ort"), outcome)["inputs"]["pair"]["outputs"] == dict(outputs)


def test_many_outputs_are_read_once_to_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with a hundred outputs is no reason to read them a hundred times."""
    outcome = replace(
        html_logs.passed(0.1), inputs={"pair": {"verdict": "pass", "outputs": Packed({key: {} for key in "abcdef"})}}
    )
    read: list[object] = []
    content = Packed._content

    def counted(self: Packed) -> dict[str, object]:
        read.append(self)
        return content(self)

    monkeypatch.setattr(Packed, "_content", counted)
    to_record(Cell("a.py", "a", "onnx", "ort"), outcome)
    assert len(read) == 1


def test_records_are_kept_in_their_order() -> None:
    kept = Kept()
    assert (len(kept), kept.cells()) == (0, [])
    given = [*cells(30)]
    for place, (cell, outcome) in enumerate(given, 1):
        kept.add(to_record(cell, outcome))
        # Read in between as well: a run may be cut off at any time.
        assert len(kept) == place
        if place in (1, 7):
            assert kept.cells() == given[:place]
    assert kept.cells() == given
