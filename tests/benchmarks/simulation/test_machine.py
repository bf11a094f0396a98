"""Processes that run a plan by a simulated clock."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.simulation.machine import Machine, Run, replayed
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict


def run(cases: int) -> Run:
    return Run.of(
        (
            Cell(f"cases/{case % 3}/net_{case}.py", "net", name, f"runtime-{number}"),
            Outcome(Verdict.PASS, seconds={"export": 1.0 + case % 7, "load": 0.1, "run": 0.1}),
        )
        for case in range(cases)
        for name in ("onnx", "export")
        for number in range(3)
    )


@pytest.mark.parametrize("processes", [1, 2, 7, 40])
def test_every_cell_runs_once_and_no_sooner_than_the_bound(processes: int) -> None:
    found = run(20)
    machine = Machine(found, found.recorded, processes)
    wall = machine.wall()
    assert Counter(item for _, _, item in machine.asked if item) == Counter(list(found.cells))
    assert machine.plan.is_exhausted
    assert wall >= found.bound(processes)
    assert all(process.ended <= wall for process in machine.processes)


def test_many_processes_come_near_the_bound_once_all_is_in_the_cache() -> None:
    found = run(300).again()
    for processes in (1, 10, 100):
        assert Machine(found, found.recorded, processes).wall() < 1.1 * found.bound(processes)


def test_the_plan_is_asked_the_same_again() -> None:
    found = run(20)
    machine = Machine(found, found.recorded, 4)
    machine.wall()
    assert replayed(machine, found.recorded) > 0
