"""A cell waits for memory, is told what is too large, and has all of it where that was not enough beside others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.cells.room import Need, Room
from pytest_modelconform.terms import memory
from pytest_modelconform.terms.capacity import Memory
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import memory_group, runs

GB = 10**9
CELL = Cell("a.py", "net", "onnx", "ort")
PASS = Outcome(Verdict.PASS, memory=5)
CROWDED = Outcome(Verdict.UNAVAILABLE, Stage.LOAD, memory.lacking("to load it", 7 * GB, Memory(16 * GB, 2 * GB)))
NEVER = Outcome(Verdict.UNAVAILABLE, Stage.LOAD, memory.lacking("to load it", 70 * GB, Memory(16 * GB, 2 * GB)))
KILLED = Outcome(
    Verdict.OUT_OF_MEMORY,
    Stage.RUN,
    f"ort was killed by SIGKILL ({memory.of_killed(9 * GB, 16 * GB, is_certain=True)})",
)
ON_GPU = Outcome(Verdict.OUT_OF_MEMORY, Stage.RUN, "torch: CUDA out of memory")


class Reserved:
    """What is taken and freed. Each wait is a second."""

    def __init__(self, leans: bool = False) -> None:
        self.events: list[Any] = []
        self.is_off = False
        self.leans_on_own = leans
        self.waits = 0.0

    def memory(self) -> Memory:
        return Memory(16 * GB, 2 * GB)

    def take(self, size: int, own: Callable[[], int], say: Callable[[], None]) -> float:
        self.events.append(size)
        if self.waits:
            say()
        return self.waits

    def free(self) -> None:
        self.events.append("free")


class Workers:
    def __init__(self, events: list[Any]) -> None:
        self.events = events

    def resident(self) -> int:
        return 0

    def close(self) -> None:
        self.events.append("end workers")

    def end_others(self, name: str, device: str) -> None:
        self.events.append(f"end others than {name} on {device}")


def room(reserved: Reserved) -> Room:
    workers: Any = Workers(reserved.events)
    there: Any = reserved
    forget, say = lambda: reserved.events.append("forget"), reserved.events.append
    return Room(there, lambda: workers, forget, say)


def results(*outcomes: Outcome) -> Callable[[], Outcome]:
    return iter(outcomes).__next__


def test_a_cell_has_what_it_is_estimated_to_take() -> None:
    reserved = Reserved()
    assert room(reserved).run(CELL, Need(3 * GB), results(PASS)) == PASS
    assert reserved.events == [3 * GB, "free"]


def test_a_cell_that_waits_says_so_and_has_no_workers_meanwhile() -> None:
    reserved = Reserved()
    reserved.waits = 2.5
    made = room(reserved)
    assert made.run(CELL, Need(3 * GB), results(PASS)) == PASS
    assert made.waited == 2.5
    said = f"{CELL.id} waits for memory: other cells run, and it takes about 3.0 GB"
    assert reserved.events == [3 * GB, "end workers", said, "free"]


def test_workers_of_others_end_where_their_memory_is_needed() -> None:
    reserved = Reserved(leans=True)
    room(reserved).run(CELL, Need(3 * GB), results(PASS))
    assert reserved.events == [3 * GB, "end others than ort on cpu", "free"]


def test_what_is_freed_is_freed_whatever_happens() -> None:
    reserved = Reserved()
    with pytest.raises(StopIteration):
        room(reserved).run(CELL, Need(3 * GB), results())
    assert reserved.events == [3 * GB, "free"]


def test_what_took_more_than_there_is_is_not_begun() -> None:
    reserved = Reserved()
    outcome = room(reserved).run(CELL, Need(1, 17 * GB), results())
    assert (outcome.verdict, outcome.stage) == (Verdict.UNAVAILABLE, Stage.ENVIRONMENT)
    assert outcome.message == (
        "it took 17.0 GB of memory when it ran before, and there are 16.0 GB: run it on a machine with more, or try it "
        "all the same by --modelconform-memory=off"
    )
    assert reserved.events == []
    reserved.is_off = True
    assert room(reserved).run(CELL, Need(1, 17 * GB), results(PASS)) == PASS


@pytest.mark.parametrize("was", [CROWDED, KILLED])
def test_what_had_too_little_beside_others_has_all(was: Outcome) -> None:
    reserved = Reserved()
    made = room(reserved)
    outcome = made.run(CELL, Need(3 * GB), results(was, PASS))
    note = f"it ran with no other cell beside it, since the memory was not enough before: {was.message}"
    assert outcome == replace(PASS, notes=(note,))
    assert reserved.events == [3 * GB, "free", "end workers", "forget", 16 * GB, "free"]


@pytest.mark.parametrize("was", [CROWDED, KILLED])
def test_what_all_of_it_is_not_enough_for_is_tried_once(was: Outcome) -> None:
    reserved = Reserved()
    made = room(reserved)
    outcome = made.run(CELL, Need(3 * GB), results(was, was))
    assert outcome == replace(was, message=f"{was.message}\nIt was tried once more, with no other cell beside it.")
    assert made.run(CELL, Need(3 * GB), results(was)) == was


@pytest.mark.parametrize("was", [NEVER, ON_GPU, PASS, Outcome(Verdict.UNAVAILABLE, None, "missing")])
def test_what_more_memory_would_not_help_is_final(was: Outcome) -> None:
    assert room(Reserved()).run(CELL, Need(3 * GB), results(was)) == was


def test_references_that_do_not_fit_are_tried_once_for_all_cells_of_a_case() -> None:
    was = replace(CROWDED, stage=Stage.REFERENCE)
    made = room(Reserved())
    made.run(CELL, Need(0), results(was, was))
    assert made.run(replace(CELL, format="export", runtime="torch"), Need(0), results(was)) == was
    made.run(replace(CELL, dtype="float64"), Need(0), results(was, was))


# Building it is told of, and takes as long as another process needs to begin.
SLOW = (
    runs.CASE
    + """
import os, time

def build():
    begin = time.time()
    time.sleep(1.0)
    with open(os.environ["BUILDS"], "a") as file:
        print(begin, time.time(), file=file)
    return Net()

{name} = Case(model=build, inputs=inputs)
"""
)


def test_cells_of_two_processes_that_would_not_fit_run_one_after_another(tmp_path: Path) -> None:
    names = ("one", "two")
    runs.write(tmp_path, {f"{name}.py": SLOW.replace("{name}", name) for name in names})
    ids = [f"{name}.py::{runs.cell(name, 'good@never')}" for name in names]
    # Each took 1.5 GB elsewhere; and nobody knows of its model check, which is of the same case.
    (tmp_path / "durations.json").write_text(json.dumps({node_id: ["", 9.0, 9.0, 15 * 10**8, 0] for node_id in ids}))
    options = ("-n2", "--modelconform-durations=durations.json", "--modelconform-memory=2GB")
    found = runs.run(tmp_path, *options, *(f"{name}.py" for name in names), env={"BUILDS": str(tmp_path / "builds")})
    assert found.status == 0, found.stdout
    builds = sorted(tuple(map(float, line.split())) for line in (tmp_path / "builds").read_text().splitlines())
    assert len(builds) >= 2
    # One has its references when the other begins.
    assert all(end <= begin for (_, end), (begin, _) in pairwise(builds)), builds
    for cell in found.report["cells"]:
        assert cell["memory"] is None or cell["memory"] > 10**7
        assert cell["duration"] < sum(end - begin for begin, end in builds) + 60


def test_there_may_be_no_limit(project: Path, tmp_path: Path, pytester: pytest.Pytester) -> None:
    """Whatever cells are said to take."""
    name = runs.cell("plain", "good@never")
    (tmp_path / "took.json").write_text(json.dumps({f"plain.py::{name}": ["", 9.0, 9.0, 10**13, 0]}))
    options = (f"--modelconform-durations={tmp_path / 'took.json'}", "--modelconform-memory=off")
    found = runs.run_here(pytester, project, "plain.py", *options)
    assert found.status == 0, found.stdout
    assert found.verdict(name) == ("pass", None), found.message(name)


GREEDY = (
    runs.CASE
    + """
def build():
    block = torch.ones(500_000_000)
    return Net()

greedy = Case(model=build, inputs=inputs)
"""
)


def test_in_a_container_that_is_too_small_the_kernel_ends_a_process_and_the_cells_say_so(tmp_path: Path) -> None:
    runs.write(tmp_path, {"greedy.py": GREEDY})
    with memory_group.limited(1_500_000_000) as group:
        inside = ("sh", "-c", f'echo $$ >{group}; exec "$0" "$@"', *runs.PYTEST)
        found = runs.run(tmp_path, "greedy.py", program=inside)
    assert found.status == 1, found.stdout
    assert len(found.report["cells"]) == 2
    for cell in found.report["cells"]:
        assert (cell["verdict"], cell["stage"]) == ("out-of-memory", "reference"), cell["message"]
        assert re.search(
            r"case host was killed by SIGKILL \(memory ran out, and the kernel ended it: it had taken [01]\.\d GB or "
            r"more, the machine has 1\.5 GB\)",
            cell["message"],
        )
    assert sum("It was tried once more" in cell["message"] for cell in found.report["cells"]) == 1
