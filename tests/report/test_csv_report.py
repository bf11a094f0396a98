from __future__ import annotations

import csv
import io
from pathlib import Path

from pytest_modelconform.report import csv_report
from pytest_modelconform.report.log import Log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import nasty


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_a_cell() -> None:
    good = Outcome(
        Verdict.PASS, bits=20.5, loss=-0.25, seconds={"export": 1.5, "run": 0.25}, artifact_bytes=7, cached=True
    )
    bad = Outcome(Verdict.ERROR, Stage.EXPORT, "no\nkernel", expected=True, notes=("a", "b"))
    one = Cell("a.py", "a", "onnx", "ort")
    other = Cell("a.py", "a", "onnx", "ort", dtype="bfloat16")
    text = csv_report.render(Log({}, [(one, bad), (one, good), (other, bad)], True))
    first, second = rows(text)
    assert text.splitlines()[0].split(",") == csv_report.COLUMNS
    assert first["id"] == "a.py::a[onnx-ort-cpu]"
    # A rerun counts as it ended; a negative number is a number.
    assert (first["verdict"], first["bits"], first["loss"], first["worst"]) == ("pass", "20.5", "-0.25", "")
    assert (first["export_seconds"], first["load_seconds"], first["run_seconds"]) == ("1.5", "", "0.25")
    assert (first["artifact_bytes"], first["cached"], first["expected"]) == ("7", "true", "")
    assert (second["dtype"], second["verdict"], second["stage"]) == ("bfloat16", "error", "export")
    assert (second["message"], second["notes"], second["expected"]) == ("no\nkernel", "a\nb", "true")


def test_nothing_is_a_formula(tmp_path: Path) -> None:
    for log in (nasty.log(), nasty.reread(tmp_path)):
        found = rows(csv_report.render(log))
        assert len(found) == len(dict(log.cells))
        for row in found:
            assert set(row) == set(csv_report.COLUMNS)
            for name, value in row.items():
                assert name in ("loss", "worst") or not value.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert "'=HYPERLINK(1)" in {row["case"] for row in found}


def test_an_empty_log_has_a_head() -> None:
    assert csv_report.render(Log({}, [], True)) == ",".join(csv_report.COLUMNS) + "\n"
