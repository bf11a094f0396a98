from __future__ import annotations

import gzip
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from pytest_modelconform.report import json_report, log
from pytest_modelconform.report.log import LogError, LogWriter
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from pytest_modelconform.terms.records import to_record

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
        ("", "log.jsonl is empty: the log"),
        ("{}\n", "log.jsonl:1: this line is not a record of a log: it lacks the field 'kind'"),
        ("nonsense\n", "log.jsonl:1: this line is not a record of a log"),
        ('{"kind": "cell"}\n', "log.jsonl:1: this is not the log of a run: a log begins with a header of schema 1"),
        (
            '{"kind": "header", "schema": 2, "environment": {}}\n',
            "log.jsonl:1: this is not the log of a run: a log begins with a header of schema 1",
        ),
        (
            '{"kind": "header", "schema": 1, "environment": {}}\nbroken\n{"kind": "footer"}\n',
            "log.jsonl:2: this line is not a record",
        ),
        ('{"kind": "header", "schema": 1, "environment": {}}\n{"kind": "cell"}\n{"kind": "footer"}\n', "log.jsonl:2"),
        ("[1]\n", "log.jsonl:1: this line is not a record"),
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


# -- logs from elsewhere -----------------------------------------------------------------------------------------------

HEADER = '{"kind": "header", "schema": 1, "environment": {}}\n'
RECORD = to_record(*CELLS[0])


@pytest.mark.parametrize(
    "changed",
    [
        {"case": 1},
        {"case": None},
        {"verdict": "maybe"},
        {"stage": "nowhere"},
        {"message": ["a"]},
        {"expected": "yes"},
        {"bits": "many"},
        {"bits": True},
        {"bits": 10**400},
        {"artifact_bytes": {}},
        {"duration": "long"},
        {"memory": "much"},
        {"inputs": []},
        {"inputs": {"a": 1}},
        {"inputs": {"a": {}}},
        {"inputs": {"a": {"verdict": "maybe"}}},
        {"inputs": {"a": {"verdict": "pass", "bits": "x"}}},
        {"inputs": {"a": {"verdict": "pass", "message": 1}}},
        {"inputs": {"a": {"verdict": "pass", "outputs": [1]}}},
        {"inputs": {"a": {"verdict": "pass", "outputs": {"b": {"loss": "x"}}}}},
        {"seconds": {"run": "x"}},
        {"notes": [1]},
        {"notes": 1},
        {"threads": 8},
        {"cause": "id"},
        {"cause": {"id": 1}},
    ],
)
def test_records_that_reports_could_not_use(tmp_path: Path, changed: dict[str, object]) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f'{HEADER}{json.dumps({"kind": "cell", **RECORD, **changed})}\n{{"kind": "footer"}}\n')
    with pytest.raises(LogError, match=r"log.jsonl:2: this line is not a record of a log"):
        log.read(path)


@pytest.mark.parametrize(
    "header",
    [
        {"environment": []},
        {"environment": {"packages": []}},
        {"environment": {"packages": {"torch": 2}}},
        {"environment": {"options": 1}},
        {"environment": {"environments": {"a": "b"}}},
        {"environment": {"missing": "all"}},
        {"environment": {}, "shard": {"index": 4, "count": 3}},
        {"environment": {}, "shard": {"index": "1", "count": 3}},
        {"environment": {}, "shard": []},
        {"environment": {}, "shard": {"index": 1, "count": 3, "recordings": 5}},
    ],
)
def test_headers_that_reports_could_not_use(tmp_path: Path, header: dict[str, object]) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"kind": "header", "schema": 1, **header}) + "\n")
    with pytest.raises(LogError, match=r"log.jsonl:1: this line is not a record of a log"):
        log.read(path)


@pytest.mark.parametrize("cells", [[[4, "a.py", "a", "onnx", "ort"]], [[1, "a.py"]], [[1, "a.py", "a", "onnx", 7]], 7])
def test_footers_of_shards_that_are_none(tmp_path: Path, cells: object) -> None:
    path = tmp_path / "log.jsonl"
    header = {"kind": "header", "schema": 1, "environment": {}, "shard": {"index": 1, "count": 3}}
    path.write_text(f"{json.dumps(header)}\n{json.dumps({'kind': 'footer', 'cells': cells})}\n")
    with pytest.raises(LogError, match=r"log.jsonl:2: this line is not a record of a log"):
        log.read(path)


def test_numbers_that_are_none_and_texts_that_no_file_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    record = json.dumps({"kind": "cell", **RECORD, "case": "a\u2028b\nc\ud800", "message": "x\x1b[31my\ud800z\u2028"})
    path.write_text(f"{HEADER}{record.replace('21.0', 'NaN')}\n", encoding="utf-8")
    [(cell, outcome)] = log.read(path).cells
    # A name is one line, and all can be written.
    assert (cell.case, outcome.message, outcome.bits) == ("a b c", "xyz\u2028", None)
    # Written as it is rather than escaped, a line separator ends no line of the log.
    path.write_text(path.read_text().replace("\\u2028", "\u2028"), encoding="utf-8")
    assert log.read(path).cells == [(cell, outcome)]


def test_the_largest_numbers_are_numbers(tmp_path: Path) -> None:
    # An error of a float64 output may be that large.
    found = log.Log({}, [(CELLS[0][0], Outcome(Verdict.MISMATCH, Stage.COMPARE, max_abs=1.7e308, worst=900))], True)
    log.write(found, tmp_path / "log.jsonl")
    assert log.read(tmp_path / "log.jsonl") == found


def test_files_of_other_kinds(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\x80\x81")
    with pytest.raises(LogError, match=r"log.jsonl is not the log of a run: 'utf-8' codec"):
        log.read(path)
    path.write_text(f"{HEADER}{'[' * 100_000}\n")
    with pytest.raises(LogError, match=r"log.jsonl:2: this line is not a record"):
        log.read(path)


def test_a_log_as_a_whole(tmp_path: Path) -> None:
    for complete in (True, False):
        found = log.Log({"python": "3.11"}, [CELLS[0]], complete)
        log.write(found, tmp_path / "deep" / "log.jsonl")
        assert log.read(tmp_path / "deep" / "log.jsonl") == found


@pytest.mark.parametrize(("name", "opened"), [("log.jsonl.xz", lzma.open), ("log.jsonl.gz", gzip.open)])
def test_compressed_logs(name: str, opened: Callable[[Path], IO[bytes]], tmp_path: Path) -> None:
    path = tmp_path / "deep" / name
    found = log.Log({"python": "3.11"}, [CELLS[0]] * 200, complete=True)
    log.write(found, path)
    with opened(path) as file:
        assert len(file.read().splitlines()) == 202
    assert log.read(path) == found
    whole = path.read_bytes()
    # It is known by its bytes: a session writes its log as it is, whatever its name.
    assert log.read(written(path)).cells[0] == CELLS[0]
    path.write_bytes(whole[:-20])
    cut = log.read(path)
    assert not cut.complete or len(cut.cells) == 200
    path.write_bytes(whole[:40] + bytes(40) + whole[80:])
    with pytest.raises(LogError, match=rf"{name}(:1: this line is not a record| can't be decompressed)"):
        log.read(path)


def test_a_log_may_come_through_a_pipe(tmp_path: Path) -> None:
    begin, end = os.pipe()
    try:
        os.write(end, written(tmp_path / "log.jsonl").read_bytes())
        os.close(end)
        assert len(log.read(Path(f"/dev/fd/{begin}")).cells) == 2
    finally:
        os.close(begin)


def test_the_json_report_of_a_shard() -> None:
    found = log.Log({}, [CELLS[0]], True, log.Shard(1, 3, {CELLS[0][0]: 1, CELLS[1][0]: 2}))
    assert json.loads(json_report.render(found))["shard"] == {"index": 1, "count": 3, "all_cells": 2}


def test_a_note_that_comes_later_is_its_cells(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    expected = Outcome(Verdict.MISMATCH, Stage.COMPARE, "off", expected=True, notes=("expected: known",))
    with LogWriter(path, {}) as writer:
        for cell, outcome in [*CELLS, (Cell("a.py", "a", "onnx", "openvino"), expected), CELLS[1]]:
            writer.cell(cell, outcome)
        writer.note(CELLS[1][0], "others agree\x1b[31m with it")
        writer.note(Cell("a.py", "a", "onnx", "openvino"), "others agree with it")
        writer.note(Cell("a.py", "b", "onnx", "ort"), "which is not here")
    found = log.read(path).cells
    # One that was rerun counts as it ended; what expected.toml says stays the last note.
    assert [outcome.notes for _, outcome in found] == [
        (),
        (),
        ("others agree with it", "expected: known"),
        ("others agree with it",),
    ]


@pytest.mark.parametrize("line", ['{"kind": "note"}', '{"kind": "note", "cell": {"x": 1}, "note": "a"}'])
def test_a_note_that_is_none(line: str, tmp_path: Path) -> None:
    path = written(tmp_path / "log.jsonl")
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(LogError, match="this line is not a record of a log"):
        log.read(path)
    cell = '{"file": "a.py", "case": "a", "format": "eager", "runtime": "eager"}'
    path.write_text(written(path).read_text() + '{"kind": "note", "cell": ' + cell + ', "note": 3}\n')
    with pytest.raises(LogError, match="note is not a text"):
        log.read(path)
