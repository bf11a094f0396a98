from __future__ import annotations

from collections.abc import Sequence

from pytest_modelconform.cluster.groups import RETRIES, Demand, Group, Groups, case_of

SECONDS = {"a.py::a[eager": 10.0, "a.py::a[onnx": 40.0, "b.py::b[eager": 20.0, "b.py::b[onnx": 5.0, "c.py::c[onnx": 1.0}
ITEMS = [
    "a.py::a[eager]",
    "a.py::a[onnx-ort-cpu]",
    "a.py::a[onnx-openvino-cpu]",
    "b.py::b[eager]",
    "b.py::b[onnx-ort-cpu]",
    "c.py::c[onnx-ort-cpu]",
]
ONE = Demand(1.0, 0.0, 2)
ROOM = Demand(8.0, 0.0, 64)


def groups(items: Sequence[str] = ITEMS) -> Groups:
    return Groups(items, lambda scope, items: SECONDS[scope], lambda scope, items: ONE)


def taken(made: Groups, node: str = "one", room: Demand = ROOM, processors: float = 4, others: bool = False) -> Group:
    found = made.next(node, room, processors, others)
    assert found is not None
    return found


def test_a_group_is_a_case_format_and_dtype() -> None:
    made = groups()
    found = [taken(made).items for _ in range(5)]
    assert sorted(map(sorted, found)) == sorted([[ITEMS[0]], sorted(ITEMS[1:3]), *([item] for item in ITEMS[3:])])
    assert not made
    assert made.next("one", ROOM, 4) is None


def test_the_longest_is_first_and_then_cases_that_nobody_has_begun() -> None:
    made = groups()
    assert [taken(made, node).case for node in ("one", "two", "three")] == ["a.py::a", "b.py::b", "c.py::c"]


def test_a_node_stays_with_its_case_where_that_costs_nothing() -> None:
    items = [f"{name}.py::{name}[{form}-ort-cpu]" for name in "abcd" for form in ("onnx", "export")]
    made = Groups(items, lambda scope, items: 10.0, lambda scope, items: ONE)
    first = taken(made, processors=2)
    assert taken(made, processors=2).case == first.case
    # With as many processors as that, the last groups decide when the run ends.
    made = Groups(items, lambda scope, items: 10.0, lambda scope, items: ONE)
    first = taken(made, processors=8)
    assert taken(made, processors=8).case != first.case


def test_a_group_waits_for_room() -> None:
    made = Groups(ITEMS, lambda scope, items: SECONDS[scope], lambda scope, items: Demand(1.0, 0.0, 2 * len(items)))
    assert len(taken(made, room=Demand(1.0, 0.0, 3)).items) == 1
    assert made.next("one", Demand(0.0, 0.0, 64), 4) is None
    assert made.next("one", Demand(1.0, 0.0, 1), 4) is None


def test_cells_that_need_a_gpu_are_groups_of_their_own() -> None:
    items = ["a.py::a[onnx-ort-cpu]", "a.py::a[onnx-ort-cuda]"]
    made = Groups(
        items,
        lambda scope, items: 1.0,
        lambda scope, items: Demand(1.0, float("cuda" in items[0]), 0),
        lambda item: "cuda" in item,
    )
    assert taken(made).items == items[:1]
    assert made.next("one", ROOM, 4) is None
    assert taken(made, room=Demand(1.0, 1.0, 0)).items == items[1:]


def test_what_no_node_has_is_what_the_node_has() -> None:
    assert Demand(4.0, 1.0, 100).within(Demand(2.0, 0.0, 50)) == Demand(2.0, 0.0, 50)


def test_the_cell_that_ran_counts_as_lost_and_all_run_again() -> None:
    made = groups(ITEMS[1:3])
    group = taken(made)
    group.begun = ITEMS[2]
    lost = made.lost(group, "one")
    assert (lost.item, lost.times, lost.is_over) == (ITEMS[2], 1, False)
    assert sorted(made.cells) == sorted(ITEMS[1:3])
    # It waits by itself: if it is what ends processes, the others have theirs.
    assert sorted(len(taken(made).items) for _ in range(2)) == [1, 1]


def test_what_has_ended_is_not_run_again() -> None:
    made = groups(ITEMS[1:3])
    group = taken(made)
    group.begun = ITEMS[1]
    group.items.remove(ITEMS[1])
    # It was lost before the next one had begun: that is the one that counts.
    assert made.lost(group, "one").item == ITEMS[2]
    assert made.cells == [ITEMS[2]]
    group = taken(made)
    group.items.clear()
    assert made.lost(group, "one").item == ""
    assert not made


def test_a_cell_is_run_again_twice() -> None:
    made = groups(ITEMS[:1])
    for times in range(1, RETRIES + 1):
        assert made.lost(taken(made), "one").times == times
    lost = made.lost(taken(made), "one")
    assert (lost.item, lost.is_over) == (ITEMS[0], True)
    assert not made


def test_what_a_node_has_lost_is_left_to_others() -> None:
    made = groups(ITEMS[:1])
    made.lost(taken(made), "one")
    assert made.next("one", ROOM, 4, others=True) is None
    assert taken(made, "two", others=True).items == ITEMS[:1]
    made = groups(ITEMS[:1])
    made.lost(taken(made), "one")
    assert taken(made, "one", others=False).items == ITEMS[:1]


def test_who_may_have_what_was_made() -> None:
    made = groups()
    for node in ("one", "two", "one", "two"):
        taken(made, node)
    assert set(made.peers("a.py::a")) | set(made.peers("b.py::b")) == {"one", "two"}
    made.forget("one")
    assert "one" not in [*made.peers("a.py::a"), *made.peers("b.py::b"), *made.peers("c.py::c")]


def test_case_of() -> None:
    assert case_of("a.py::a[onnx") == "a.py::a"
    assert case_of("a.py::a[onnx-float64-training") == "a.py::a-float64-training"
    assert case_of("test_a.py::test_a") == "test_a.py::test_a"
