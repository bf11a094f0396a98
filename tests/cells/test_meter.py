"""What is added up of a cell's workers, with a made-up /proc; tests/cells/test_pipeline.py has real ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_modelconform.cells.meter import Meter

PAGE = os.sysconf("SC_PAGE_SIZE")


class Machine:
    """A /proc. What a process had at the most is what it was told to have since `clear_refs` was written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def has(self, pid: int, now: int, most: int, parent: int = 0) -> None:
        """In pages."""
        place = self.folder / str(pid)
        place.mkdir(exist_ok=True)
        (place / "statm").write_text(f"0 {now} 0 0 0 0 0")
        (place / "status").write_text(f"Name: x\nVmHWM: {most * PAGE // 1024} kB\n")
        (place / "stat").write_text(f"{pid} (x) S {parent} 0\n")

    def ends(self, pid: int) -> None:
        for file in (self.folder / str(pid)).iterdir():
            file.unlink()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "proc")


def pages(meter: Meter) -> int:
    assert meter.most is not None
    return meter.most // PAGE


def test_one_at_a_time_has_its_most_and_the_others_what_they_have(machine: Machine) -> None:
    meter = Meter(machine.folder)
    machine.has(1, 100, 100)
    machine.has(2, 40, 40)
    meter.begin()
    assert meter.most is None
    meter.turn(1)
    machine.has(1, 300, 900)
    meter.turn(2)
    assert (machine.folder / "2" / "clear_refs").read_text() == "5"
    machine.has(2, 50, 60)
    # The first had 900 while the second had nothing to do with the cell yet; then 300 beside the 60 of the second.
    assert pages(meter) == 900
    machine.has(2, 700, 800)
    assert pages(meter) == 800 + 300
    # Another cell, which only the second one runs.
    machine.has(2, 50, 60)
    meter.begin()
    meter.turn(2)
    assert pages(meter) == 60


def test_a_worker_that_starts_meanwhile_counts(machine: Machine) -> None:
    meter = Meter(machine.folder)
    meter.begin()
    machine.has(1, 100, 100)
    machine.has(2, 30, 30)
    meter.turn(1)
    meter.joins(2)
    assert pages(meter) == 130


def test_children_count_where_somebody_looks(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(machine.folder)
    meter.begin()
    machine.has(1, 100, 100)
    meter.turn(1)
    machine.has(7, 20, 20, parent=1)
    machine.has(8, 30, 30, parent=7)
    meter.look(is_last=True)
    machine.ends(7)
    machine.ends(8)
    assert pages(meter) == 150
    # Those that stay, such as a browser, are looked at after each turn, though nobody has waited for long.
    machine.has(9, 70, 70, parent=2)
    machine.has(2, 10, 10)
    meter.acquaint(2)
    meter.begin()
    meter.turn(2)
    machine.has(9, 80, 80, parent=2)
    assert pages(meter) == 90


def test_looks_are_rare(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(machine.folder)
    machine.has(1, 100, 100)
    meter.turn(1)
    meter.look()
    machine.has(1, 100, 400)
    for _ in range(100):
        meter.look()
    machine.ends(1)
    assert pages(meter) == 100


def test_what_is_gone_is_known_from_looks_and_from_its_end(machine: Machine) -> None:
    meter = Meter(machine.folder)
    meter.begin()
    machine.has(1, 100, 300)
    meter.turn(1)
    meter.look(is_last=True)
    machine.ends(1)
    assert meter.took(1, 0) == 300 * PAGE
    assert meter.took(1, 500 * PAGE) == 500 * PAGE
    assert pages(meter) == 500
    assert meter.took(2, 7) == 7


def test_where_no_system_tells_nothing_is_known(tmp_path: Path) -> None:
    meter = Meter(tmp_path / "nowhere")
    meter.turn(1)
    meter.look(is_last=True)
    assert meter.most is None
