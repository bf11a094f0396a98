from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_modelconform.outcome import Cell, Outcome, Stage, Verdict
from pytest_modelconform.report import json_report, log
from pytest_modelconform.report.log import LogError, LogWriter

CELLS = [
    (Cell("a.py", "a", "eager", "eager"), Outcome(Verdict.PASS, bits=21.0)),
    (Cell("a.py", "a", "onnx", "ort"), Outcome(Verdict.ERROR, Stage.EXPORT, "no\nkernel", bits=float("nan"))),
]


def written(path: Path) -> Path:
    with LogWriter(path, {"python": "3.11"}) as writer:
        for cell, outcome in CELLS:
            writer.cell(cell, outcome)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = log.read(written(tmp_path / "deep" / "log.jsonl"))
    assert found.environment == {"python": "3.11"}
    assert found.complete
    assert found.cells[0] == CELLS[0]
    assert found.cells[1][1].bits is None
    assert len(found.cells) == 2


def test_what_is_finished_is_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    writer = LogWriter(path, {})
    writer.cell(*CELLS[0])
    found = log.read(path)
    assert (found.cells, found.complete) == ([CELLS[0]], False)
    writer.close()
    writer.close()
    assert log.read(path).complete


def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = written(tmp_path / "log.jsonl")
    text = path.read_text()
    for length in range(text.index("\n") + 1, len(text)):
        path.write_text(text[:length])
        found = log.read(path)
        assert not found.complete or text[:length].endswith('"footer"}')
        assert len(found.cells) <= 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "log.jsonl: empty"),
        ("{}\n", "log.jsonl:1: no record of a log: KeyError"),
        ("nonsense\n", "log.jsonl:1: no record of a log"),
        ('{"kind": "cell"}\n', "log.jsonl:1: not a header of schema 1"),
        ('{"kind": "header", "schema": 2, "environment": {}}\n', "log.jsonl:1: not a header of schema 1"),
        ('{"kind": "header", "schema": 1, "environment": {}}\nbroken\n{"kind": "footer"}\n', "log.jsonl:2: no record"),
        ('{"kind": "header", "schema": 1, "environment": {}}\n{"kind": "cell"}\n{"kind": "footer"}\n', "log.jsonl:2"),
        ("[1]\n", "log.jsonl:1: no record"),
    ],
)
def test_files_that_are_no_logs(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    with pytest.raises(LogError, match=message):
        log.read(path)


def test_the_json_report(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "report.json"
    json_report.write(log.read(written(tmp_path / "log.jsonl")), target)
    content = json.loads(target.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert list(content) == ["schema", "complete", "environment", "cells"]
    assert [cell["id"] for cell in content["cells"]] == ["a.py::a[eager]", "a.py::a[onnx-ort-cpu]"]
    assert content["cells"][1]["bits"] is None
    assert target.read_text().endswith("}\n")
