"""Which cells a process runs next, without xdist."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

import pytest

from pytest_modelconform.plugin.plan import Plan, scope_of
from pytest_modelconform.plugin.queues import Unit
from tests.support import counting


@pytest.mark.parametrize(
    ("node_id", "scope"),
    [
        ("cases/a.py::a[onnx-ort_cpp-cpu]", "cases/a.py::a[onnx"),
        ("cases/a.py::a[onnx-ort-cpu]", "cases/a.py::a[onnx"),
        ("cases/a.py::a[onnx_legacy-ort-cpu]", "cases/a.py::a[onnx_legacy"),
        ("cases/a.py::a[eager]", "cases/a.py::a[eager"),
        ("cases/a.py::a[onnx-ort-cpu-bfloat16]", "cases/a.py::a[onnx-bfloat16"),
        ("cases/a.py::a[onnx-ort_cpp-cpu-bfloat16-fast]", "cases/a.py::a[onnx-bfloat16"),
        ("cases/a.py::a[onnx-ort-cpu-fast]", "cases/a.py::a[onnx"),
        # Steps run the artifact of single calls.
        ("cases/a.py::a[onnx-ort-cpu-sequence]", "cases/a.py::a[onnx"),
        ("cases/a.py::a[eager-sequence]", "cases/a.py::a[eager"),
        ("cases/a.py::a[eager-float16]", "cases/a.py::a[eager-float16"),
        ("cases/a.py::b[onnx-ort-cpu]", "cases/a.py::b[onnx"),
        ("tests/test_a.py::test_a", "tests/test_a.py::test_a"),
        ("cases/expected.toml::entries", "cases/expected.toml::entries"),
    ],
)
def test_units(node_id: str, scope: str) -> None:
    assert scope_of(node_id) == scope


def ids(case: str, format_name: str, count: int = 2) -> list[str]:
    return [f"{case}.py::{case}[{format_name}-runtime{number}-cpu]" for number in range(count)]


def short(item: str) -> str:
    """`a onnx 0` of a node id of `ids`."""
    case, _, rest = item.partition("::")[2].partition("[")
    words = rest.split("-")
    return f"{case} {words[0]} {words[1].removeprefix('runtime')}"


class Machine:
    """Processes that run a plan, each cell in one second but for the first of a unit, which takes the others' rest."""

    def __init__(self, plan: Plan, seconds: Mapping[str, float], processes: int) -> None:
        self.plan = plan
        self.seconds = seconds
        # When each process is free, and what it ran, by process.
        self.free = dict.fromkeys(range(processes), 0.0)
        self.ran: dict[int, list[str]] = {process: [] for process in self.free}
        for process in self.free:
            plan.join(process)

    def run(self) -> None:
        queues: dict[int, list[str]] = {process: [] for process in self.free}
        ends: dict[int, tuple[float, str]] = {}
        now = 0.0
        while True:
            for process, waiting in queues.items():
                waiting += self.plan.next(process)
                # As xdist's: it runs one when it knows the next, or that there is none.
                if process not in ends and waiting and (len(waiting) > 1 or self.plan.is_at_end(process)):
                    item = waiting.pop(0)
                    self.ran[process].append(item)
                    ends[process] = now + self._takes(item), item
            if not ends:
                break
            process = min(ends, key=lambda one: ends[one][0])
            now, item = ends.pop(process)
            self.free[process] = now
            self.plan.done(process, item)
        assert self.plan.is_exhausted

    def _takes(self, item: str) -> float:
        whole = self.seconds.get(scope_of(item), 2.0)
        return max(1.0, whole - 1.0) if item.partition("-")[2].startswith("runtime0") else 1.0

    def began(self) -> list[str]:
        """The units of the first process in the order in which it began them."""
        return list(dict.fromkeys(" ".join(short(item).split()[:2]) for item in self.ran[0]))


def machine(
    items: Sequence[str],
    seconds: Mapping[str, float],
    processes: int = 1,
    needs: Mapping[str, Collection[str]] | None = None,
) -> Machine:
    plan = Plan(items, lambda scope, found, makes: seconds.get(scope, 1.0 * len(found)) if makes else 1.0, needs or {})
    return Machine(plan, seconds, processes)


def test_the_longest_goes_first() -> None:
    items = [*ids("a", "onnx"), *ids("b", "onnx"), *ids("c", "onnx")]
    found = machine(items, {scope_of(items[2]): 9.0, scope_of(items[4]): 5.0})
    found.run()
    assert found.began() == ["b onnx", "c onnx", "a onnx"]


def test_a_process_stays_with_its_case_while_there_is_time() -> None:
    cases = [f"case{number}" for number in range(9)]
    items = [item for case in cases for name in ("onnx", "export") for item in ids(case, name)]
    found = machine(items, {scope_of(ids("case3", "onnx")[0]): 2.5, scope_of(ids("case5", "onnx")[0]): 2.4})
    found.run()
    assert found.began()[:4] == ["case3 onnx", "case3 export", "case5 onnx", "case5 export"]


def test_it_leaves_its_case_for_what_would_decide_the_end() -> None:
    items = [*ids("a", "onnx"), *ids("a", "export"), *ids("b", "onnx"), *ids("c", "onnx")]
    found = machine(items, {scope_of(items[0]): 10.0, scope_of(items[4]): 9.0}, 1)
    found.run()
    assert found.began() == ["a onnx", "b onnx", "a export", "c onnx"]


def test_what_waits_for_a_build_goes_last() -> None:
    items = [*ids("a", "onnx"), *ids("b", "onnx"), *ids("c", "onnx")]
    needs = {item: {"the harness"} for item in items[:2]}
    found = machine(items, {scope_of(items[0]): 9.0}, needs=needs)
    found.run()
    assert found.began() == ["b onnx", "c onnx", "a onnx"]
    again = machine(items, {scope_of(items[0]): 9.0}, needs=needs)
    again.plan.made("the harness")
    again.run()
    assert again.began()[0] == "a onnx"


def test_of_a_unit_only_those_cells_wait_that_need_what_is_built() -> None:
    items = [*ids("a", "onnx", 3), *ids("b", "onnx")]
    found = machine(items, {scope_of(items[0]): 9.0}, needs={items[0]: {"the harness"}})
    found.run()
    assert [short(item) for item in found.ran[0]] == ["a onnx 1", "a onnx 2", "b onnx 0", "b onnx 1", "a onnx 0"]


def test_two_processes_begin_two_cases() -> None:
    """The second would wait for the references that the first one makes."""
    items = [*ids("a", "aoti"), *ids("a", "onnx"), *ids("b", "onnx")]
    found = machine(items, {scope_of(items[0]): 20.0, scope_of(items[2]): 10.0}, 2)
    found.run()
    assert [short(ran[0]) for ran in found.ran.values()] == ["a aoti 0", "b onnx 0"]


def test_a_process_is_told_of_no_unit_before_it_needs_one() -> None:
    items = [*ids("a", "aoti", 3), *ids("b", "aoti", 3), *ids("c", "aoti", 3)]
    plan = machine(items, {}).plan
    assert [short(item) for item in plan.next(0)] == ["a aoti 0", "a aoti 1", "a aoti 2"]
    for item in items[:1]:
        plan.done(0, item)
        assert plan.next(0) == []
    plan.done(0, items[1])
    assert [short(item) for item in plan.next(0)] == ["b aoti 0", "b aoti 1"]


def test_what_a_dead_process_had_is_for_the_others_but_for_the_cell_it_died_in() -> None:
    items = [*ids("a", "onnx", 5), *ids("b", "onnx")]
    plan = machine(items, {}, 2).plan
    plan.next(0)
    plan.next(1)
    plan.done(0, items[0])
    assert plan.leave(0) == items[1]
    left = []
    while not plan.is_at_end(1) or plan.told(1):
        for item in list(plan.told(1)):
            left.append(item)
            plan.done(1, item)
            plan.next(1)
    assert sorted(left) == sorted([*items[2:5], *items[5:]])


@pytest.mark.parametrize("processes", [1, 2, 4, 8])
def test_a_run_of_every_kind_of_unit_leaves_nobody_idle_at_its_end(processes: int) -> None:
    """Thirty cases in formats of very different lengths: no process is idle for a tenth of its time."""
    lengths = {"aoti": 20.0, "onnx": 6.0, "export": 3.0, "torchscript_trace": 2.0}
    items = [item for case in range(30) for name in lengths for item in ids(f"case{case}", name, 4)]
    seconds = {scope_of(item): lengths[short(item).split()[1]] * (1 + len(item) % 3) for item in items}
    found = machine(items, seconds, processes)
    found.run()
    last = max(found.free.values())
    assert sum(last - free for free in found.free.values()) / (last * processes) < 0.1
    assert sorted(item for ran in found.ran.values() for item in ran) == sorted(items)


# -- the same as by looking at all units, and without looking at all ---------------------------------------------------


class Checked(Plan):
    """Each choice is held against the one by looking at all units that are left."""

    checked = 0

    def _best(self, process: Hashable) -> Unit:
        found = super()._best(process)
        left = sorted((unit for units in self._of_case.values() for unit in units), key=lambda unit: unit.order)
        assert found is min(left, key=lambda unit: (self._waits(unit), self._is_begun(unit, process)))
        assert self._longest.top() is left[0]
        assert self._seconds_left == pytest.approx(sum(unit.seconds for unit in left))
        self.checked += 1
        return found


@pytest.mark.parametrize("seed", range(40))
def test_it_chooses_as_one_who_looks_at_all_units(seed: int) -> None:
    """Cases of several lengths, harnesses that come late or never, references that take their time, lost processes."""
    drawn = random.Random(seed)
    formats = ("aoti", "onnx", "export", "torchscript_trace")
    items = [i for case in range(drawn.randint(1, 12)) for name in formats for i in ids(f"c{case}", name, 3)]
    items += [f"tests/test_{number}.py::test_it" for number in range(drawn.randint(0, 3))]
    drawn.shuffle(items)
    needs = {item: {f"harness{drawn.randint(0, 1)}"} for item in items if drawn.random() < 0.4}
    lengths = {scope_of(item): drawn.choice((0.5, 1.0, 1.0, 7.0, 30.0)) for item in items}
    now = 0.0
    plan = Checked(items, lambda scope, found, makes: lengths[scope] * len(found), needs, lambda: now)
    ended: list[str] = []
    processes: list[int] = []
    for number in range(drawn.randint(1, 6)):
        plan.join(number)
        processes.append(number)
    while not plan.is_exhausted or any(plan.told(process) for process in processes):
        now += drawn.choice((0.0, 0.5, 3.0, 25.0))
        if drawn.random() < 0.05:
            plan.made(drawn.choice(("harness0", "harness1")))
        process = drawn.choice(processes)
        plan.next(process)
        if drawn.random() < 0.02:
            ended += filter(None, [plan.leave(process)])
            processes[processes.index(process)] = new = max(processes) + 1
            plan.join(new)
        elif plan.told(process) and drawn.random() < 0.8:
            ended.append(plan.told(process)[0])
            plan.done(process, ended[-1])
    assert sorted(ended) == sorted(items)
    assert plan.checked
    assert all(plan.is_at_end(process) for process in processes)


@pytest.mark.parametrize("when", ["made", "lacking"])
def test_the_work_grows_with_the_cells_whatever_the_processes(when: str) -> None:
    """As many processes as a tenth of the cells; half of the cells wait for a build, which ends late or at once."""

    def prepared(cases: int) -> Callable[[], object]:
        items = [item for case in range(cases) for name in ("aoti", "onnx") for item in ids(f"c{case}", name, 3)]
        needs = {item: {"harness"} for item in items[::2]}

        def played() -> None:
            plan = Plan(items, lambda scope, found, makes: float(len(scope) + len(found)), needs, lambda: 0.0)
            if when == "made":
                plan.made("harness")
            processes = range(len(items) // 10)
            for process in processes:
                plan.join(process)
            ended = 0
            while not plan.is_exhausted or ended < len(items):
                for process in processes:
                    plan.next(process)
                    for item in plan.told(process)[:1]:
                        plan.done(process, item)
                        ended += 1
                if ended > len(items) // 2:
                    plan.made("harness")

        return played

    assert counting.growth(prepared, 20) < counting.MOST
