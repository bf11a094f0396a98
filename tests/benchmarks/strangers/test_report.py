"""What becomes of records: in files, in tables, as one JSON object."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.faults.judge import Record
from benchmarks.faults.report import from_json
from benchmarks.strangers import known, parts, real, report
from benchmarks.strangers.parts import ADVERSARY, MUTANTS, REAL, Part

CLEAN = Record("timm.net.default", ADVERSARY, "draw 0", "eager", ADVERSARY, "pass", loss=0.5, worst=2.0, bits=20.0)
CELL = Record("timm.net.default", REAL, "", "onnx", "ort", "pass", loss=1.5, worst=3.0, bits=19.0)


def test_a_part_is_done_when_it_says_so_and_survives_a_cut(tmp_path: Path) -> None:
    part = Part(tmp_path, REAL, "net")
    assert not part.done
    part.begin()
    part.record(replace(CELL, loss=math.inf))
    assert not part.done
    part.put(done=1.5)
    assert Part(tmp_path, REAL, "net").done
    assert list(parts.records(tmp_path, REAL)) == [replace(CELL, loss=math.inf)]
    assert parts.seconds(tmp_path, REAL) == 1.5
    with part.path.open("a") as file:
        file.write('{"record": {"case": "cut')
    assert Part(tmp_path, REAL, "net").done
    Part(tmp_path, REAL, "net").begin()
    assert not Part(tmp_path, REAL, "net").done


@pytest.mark.parametrize(
    ("record", "fate"),
    [
        (CLEAN, "pass"),
        (replace(CELL, verdict="imprecise"), "imprecise"),
        (replace(CLEAN, verdict="mismatch"), "red"),
        # The adversary computes what eager does: an error is a finding, too.
        (replace(CLEAN, verdict="error"), "red"),
        (replace(CELL, verdict="mismatch"), "red"),
        (replace(CELL, verdict="error", stage="export"), "failed"),
        (replace(CELL, verdict="error", stage="reference"), "not comparable"),
        (replace(CLEAN, verdict="not comparable"), "not comparable"),
        (replace(CLEAN, verdict="adversary failed"), "not comparable"),
        (replace(CELL, verdict="unsupported"), "outside"),
        (
            replace(CELL, case="torchvision.convnext_tiny.generic", format="mnn", runtime="mnn", verdict="mismatch"),
            "known fault",
        ),
    ],
)
def test_every_verdict_has_its_column(record: Record, fate: str) -> None:
    assert report.fate(record) == fate


def test_a_red_cell_is_listed_with_its_numbers_and_draws_are_put_together(tmp_path: Path) -> None:
    part = Part(tmp_path, ADVERSARY, "net")
    part.begin()
    part.record(CLEAN)
    for loss in (2.5, 3.5):
        part.record(replace(CLEAN, verdict="mismatch", loss=loss, message="output loses some bits\nand more"))
    part.put(done=60.0)
    text = report.text(tmp_path, {"timm.other.default": "timm isn't installed"})
    assert "adversary 1.0 minutes" in text
    assert "timm.other.default: timm isn't installed" in text
    assert "2 red cells:" in text
    assert "timm.net.default[eager-adversary] × 2: bits 20.0, loss 3.5, worst 2.0: output loses some bits" in text
    row = next(line for line in text.splitlines() if line.startswith("eager, adversary"))
    assert row.split()[2:5] == ["3", "1", "0"]


def test_hints_are_counted_for_mutants_and_known_faults() -> None:
    mutant = Record("timm.net.default", "input in bfloat16", "/args/0", "onnx", "ort", "mismatch")
    fault = replace(CELL, case="torchvision.swin_t.default", format="mnn", runtime="mnn", verdict="mismatch")
    found = {
        MUTANTS: [
            replace(mutant, hints=["computed with bfloat16 weights"]),
            replace(mutant, hints=["loses 3 bits: the accuracy of int8 weights"]),
            replace(mutant, hints=[]),
            mutant,
        ],
        REAL: [replace(fault, hints=["GELU by tanh instead of erf"])],
    }
    text = report.hint_table(found)
    assert [line.split()[-4:] for line in text.splitlines() if line.startswith("all ")] == [["2", "1", "1", "0"]]
    assert "right where the cause is in the table: 50 %" in text
    assert "1 cells with wrong hints:" in text


def test_the_json_is_read_as_that_of_our_own_cases(tmp_path: Path) -> None:
    for kind, record in ((ADVERSARY, CLEAN), (REAL, CELL), (MUTANTS, replace(CELL, kind="bias dropped"))):
        part = Part(tmp_path, kind, "net")
        part.begin()
        part.record(record)
        part.record(replace(record, verdict="error", stage="export"))
        part.put(done=1.0)
    file = tmp_path / "all.json"
    file.write_text(report.to_json(tmp_path, {"seed": 0}))
    mutants, reruns, about = from_json(file)
    assert about == {"seed": 0}
    assert len(mutants) == 2
    assert [r.verdict for r in reruns] == ["pass", "error", "pass"]
    assert len(json.loads(file.read_text())["not compared"]) == 1


def test_known_faults_have_reasons_and_no_two_are_the_same() -> None:
    assert all(fault.reason and fault.runtime for fault in known.KNOWN)
    assert len(set(known.KNOWN)) == len(known.KNOWN)


def test_every_stranger_gets_the_cheap_runtimes_and_others_in_turn() -> None:
    found = [real.rows(turn, 2) for turn in range(len(real.OTHERS))]
    assert all(rows[: len(real.CHEAP)] == list(real.CHEAP) for rows in found)
    others = [pair for rows in found for pair in rows[len(real.CHEAP) :]]
    assert {others.count(pair) for pair in real.OTHERS} == {2}
