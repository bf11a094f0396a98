"""Red cells that wait for a search, left and claimed by several processes."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_modelconform.blame import waiting as waiting_module
from pytest_modelconform.blame.waiting import Red, Waiting
from pytest_modelconform.terms.blame import Blame
from pytest_modelconform.terms.cell import CaseRef, Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support.blames import FOUND


def red(case: str = "net", runtime: str = "ort", message: str = "wrong", **more: str) -> Red:
    cell = Cell(f"{case}.py", case, "onnx", runtime, **more)
    ref = CaseRef(Path(f"/there/{case}.py"), f"{case}.py", case, operators=(("torch", ("ops.cpp",)),))
    return Red(cell, ref, Outcome(Verdict.MISMATCH, Stage.COMPARE, message, bits=3.0, notes=("a note",)))


def test_a_red_cell_comes_back_as_it_was(tmp_path: Path) -> None:
    assert Waiting(tmp_path / "none").claim() is None
    waiting = Waiting(tmp_path)
    waiting.leave(red())
    assert waiting.claim() == red()
    assert waiting.claim() is None


def test_what_fails_for_one_reason_is_searched_once_and_said_of_all(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    for runtime in ("ort", "ort-cpp"):
        waiting.leave(red(runtime=runtime))
    waiting.leave(red(runtime="ort", dtype="bfloat16"))
    first, second = waiting.claim(), waiting.claim()
    assert first is not None
    assert second is not None
    assert {first.cell.dtype, second.cell.dtype} == {"float32", "bfloat16"}
    assert waiting.claim() is None
    large = replace(FOUND, tensors="many")
    float32 = first if first.cell.dtype == "float32" else second
    # What comes later, and by name before it, doesn't move the one that is searched in.
    waiting.leave(red(runtime="aaa"))
    waiting.end(float32, large)
    found = dict(waiting.found())
    assert found == {
        float32.cell: large,
        red(runtime="ort-cpp").cell: replace(FOUND, note=f"{FOUND.note} As in net[onnx-ort-cpu]."),
        red(runtime="aaa").cell: replace(FOUND, note=f"{FOUND.note} As in net[onnx-ort-cpu]."),
    }
    assert waiting.begun() == {float32.cell: large, red(dtype="bfloat16").cell: None}


def test_what_was_read_is_not_read_for_each_claim_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of 20,000 cells may leave 2,000 causes."""
    waiting = Waiting(tmp_path)
    given = [red(f"net{number}", message=f"wrong {number}") for number in range(20)]
    for one in given:
        waiting.leave(one)
    read: list[Path] = []
    reads = waiting_module._read

    def counted(path: Path) -> Red:
        read.append(path)
        return reads(path)

    monkeypatch.setattr(waiting_module, "_read", counted)
    claimed = [waiting.claim() for _ in given]
    assert sorted(one.cell.id for one in claimed if one) == sorted(one.cell.id for one in given)
    assert waiting.claim() is None
    # Each once to choose, to be searched in, and as one that is claimed.
    assert len(read) == 3 * len(given)


def test_of_another_format_it_is_not_said_whose_fault_it_is(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    first, other = red(), red()
    other = replace(other, cell=replace(other.cell, format="openvino"))
    waiting.leave(first)
    waiting.leave(other)
    assert waiting.claim() == first
    waiting.end(first, FOUND)
    [guilty] = dict(waiting.found())[other.cell].guilty
    assert (guilty.party, guilty.why) == ("unknown", "")
    assert guilty == replace(FOUND.guilty[0], party="unknown", why="")


def test_other_cases_and_columns_come_first(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    for case, runtime in [("a", "ort"), ("a", "tvm"), ("b", "mnn"), ("a", "mnn"), ("c", "ort")]:
        waiting.leave(red(case, runtime, f"wrong in {runtime}"))
    order = []
    while (claimed := waiting.claim()) is not None:
        order.append((claimed.cell.case, claimed.cell.runtime))
    assert order == [("a", "mnn"), ("c", "ort"), ("a", "tvm"), ("b", "mnn"), ("a", "ort")]
    assert waiting.left == []


def test_each_is_claimed_by_one_of_many(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    for number in range(30):
        waiting.leave(red(f"case{number}"))
    assert len(waiting.left) == 30
    claimed: list[str] = []

    def work() -> None:
        while (found := waiting.claim()) is not None:
            claimed.append(found.cell.case)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(f"case{number}" for number in range(30))
    waiting.remove()
    assert not tmp_path.exists()


def test_what_passes_when_it_is_run_again_is_taken_back(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    files = [waiting.leave(each) for each in (red(), red(runtime="ort-cpp"), red("other"))]
    for file in (files[0], files[2]):
        file.unlink()
    assert [cell.runtime for cell in waiting.left] == ["ort-cpp"]
    claimed = waiting.claim()
    assert claimed == red(runtime="ort-cpp")
    assert waiting.claim() is None


def test_who_runs_cells_still(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path / "shared")
    assert not waiting.others_run()
    waiting.enter()
    assert waiting.others_run()
    assert waiting.claim() is None
    assert waiting.left == []
    assert waiting.finished == 0.0
    waiting.finish()
    assert not waiting.others_run()
    assert abs(time.time() - waiting.finished) < 60
    # One that died, as a process that has been waited for.
    process = subprocess.Popen(["sleep", "0"])
    process.wait()
    (tmp_path / "shared" / f"runs.{process.pid}").touch()
    assert not waiting.others_run()


def test_nothing_found_is_said_of_all_too(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    waiting.leave(red())
    waiting.leave(red(runtime="ort-cpp"))
    claimed = waiting.claim()
    assert claimed is not None
    waiting.end(claimed, Blame())
    assert sorted(blame.note for _, blame in waiting.found()) == ["", "As in net[onnx-ort-cpu]."]
