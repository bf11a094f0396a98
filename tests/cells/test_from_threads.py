"""What has passed from several threads is tried with two the next time, and in full where anything is another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from pytest_modelconform.cache.store import Cache
from pytest_modelconform.cells import from_threads
from pytest_modelconform.cells.concurrency import AtOnce, Plan, again
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.stages import Budget
from pytest_modelconform.cells.worker import WorkerRefused
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict
from pytest_modelconform.terms.signature import Signature
from pytest_modelconform.workers import arrays

CELL = Cell("a.py", "a", "torchscript-trace", "libtorch-cpp")
ALL = (1, 2, 8)
FULL: tuple[list[int], list[int]] = ([1, 2, 8], [1, 2, 8])
LESS: tuple[list[int], list[int]] = ([2], [])


class Runtime:
    """A worker that answers as it is told, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[list[int], list[int]]] = []
        self.info: dict[str, Any] = {"concurrent": True, "version": "1"}
        self.command: tuple[str, ...] = ("engine", "--threads", "1")
        self.refuses = False
        self.clonable = True
        self.on_gpu = False

    def ask(self, op: str, timeout: float, **fields: Any) -> dict[str, Any]:
        """What a worker answers where no result differs."""
        self.asked.append((fields["threads"], fields["clones"]))
        if self.refuses:
            raise WorkerRefused("RuntimeError", "no", "", "")
        arrays.write(Path(fields["outputs"]), {})
        trials = [
            {"instance": "one", "threads": n, "results": n, "different": 0, "failed": 0} for n in fields["threads"]
        ]
        return {"clonable": self.clonable, "trials": trials}


def checked(
    runtime: Runtime,
    cell: Cell = CELL,
    key: str = "k",
    seconds: float = 0.001,
    asked: bool = False,
    files: Mapping[str, str] = MappingProxyType({}),
) -> Outcome:
    """A cell that has passed, from several threads."""
    registry = Registry()
    register_built_in(registry)
    folder = runtime.folder
    entry = SimpleNamespace(name="two", generated="", file=folder / "inputs", args=[], kwargs=[])
    prepared: Any = SimpleNamespace(sets={"two": entry}, tolerance=Tolerance(), tolerances={})
    signature = Signature(file="net.pt", layout="tree")
    artifact: Any = SimpleNamespace(size=1000, signature=signature, folder=folder / key, files=files)
    outcome = Outcome(Verdict.PASS, inputs={"two": {"verdict": "pass", "seconds": seconds}})
    budget = Budget(300.0, SimpleNamespace(last_op=""))  # type: ignore[arg-type]
    at_once = AtOnce(registry, ALL, folder, asked, Cache(folder / "cache"))
    return at_once.checked(outcome, cell, prepared, artifact, runtime, budget, 0.0)  # type: ignore[arg-type]


def before(outcome: Outcome) -> Any:
    """What an outcome says of earlier trials."""
    assert outcome.threads is not None
    return outcome.threads.get("before")


def test_what_has_passed_is_tried_with_two_threads(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    first, second = checked(runtime), checked(runtime)
    assert runtime.asked == [FULL, LESS]
    assert (first.verdict, second.verdict) == (Verdict.PASS, Verdict.PASS)
    assert (before(first), before(second)) == (None, {"counts": [1, 2, 8], "clones": [1, 2, 8]})
    assert second.threads is not None
    assert (second.threads["counts"], second.threads["results"]) == ([2], 2)


def test_anything_else_is_tried_in_full(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    program = tmp_path / "engine"
    program.write_text("one")
    runtime.command = (str(program),)

    def fresh(**more: Any) -> bool:
        checked(runtime, **more)
        return runtime.asked[-1] == FULL

    assert fresh()
    assert not fresh()
    assert fresh(key="of another artifact")
    assert fresh(files={"/shipped/net.onnx": "another hash"})
    assert fresh(cell=replace(CELL, precision="fast"))
    runtime.info = {**runtime.info, "version": "2"}
    assert fresh()
    program.write_text("another one")
    assert fresh()
    assert not fresh()
    # Whoever asks for numbers of threads gets them.
    assert fresh(asked=True)


def test_what_fails_is_tried_in_full_again(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    checked(runtime)
    runtime.refuses = True
    assert checked(runtime).verdict is Verdict.ERROR
    runtime.refuses = False
    checked(runtime)
    assert runtime.asked == [FULL, LESS, FULL]


def test_what_fails_for_who_asked_is_tried_in_full_by_all(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    checked(runtime)
    runtime.refuses = True
    checked(runtime, asked=True)
    runtime.refuses = False
    checked(runtime)
    assert runtime.asked == [FULL, FULL, FULL]


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    runtime.refuses = True
    checked(runtime)
    checked(runtime)
    assert runtime.asked == [FULL, FULL]


def test_notes_of_what_was_left_out_stay(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    first, second = checked(runtime, seconds=0.05), checked(runtime, seconds=0.05)
    assert runtime.asked == [([1, 2], [1]), LESS]
    assert "not tried with 2 on clones" in first.notes[0]
    assert second.notes == first.notes


def test_what_a_busy_machine_left_out_is_tried_once_there_is_time(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    for seconds in (0.05, 0.001, 0.001, 0.05):
        checked(runtime, seconds=seconds)
    assert runtime.asked == [([1, 2], [1]), FULL, LESS, LESS]


def test_what_makes_no_clones_is_not_asked_for_them_each_time(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    runtime.clonable = False
    found = [checked(runtime) for _ in range(2)]
    assert runtime.asked == [FULL, LESS]
    assert before(found[1]) == {"counts": [1, 2, 8], "clones": []}


@pytest.mark.parametrize(
    ("counts", "run", "threads"),
    [(ALL, 0.001, (2,)), ((1,), 0.001, (1,)), ((4, 8), 0.001, (4,)), (ALL, 0.33, (2,)), (ALL, 0.34, ())],
)
def test_the_least_that_tells_of_a_race(counts: tuple[int, ...], run: float, threads: tuple[int, ...]) -> None:
    assert again(counts, run) == Plan(threads, (), 1)


def test_an_entry_that_cannot_be_read_counts_for_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    from_threads.keep(cache, "key", from_threads.Before(counts=(1, 2)))
    assert from_threads.read(cache, "key") == from_threads.Before(counts=(1, 2))
    (cache.place(from_threads.KIND, "key") / "passed.json").write_text("{")
    assert from_threads.read(cache, "key") is None
    assert from_threads.read(cache, "another") is None
