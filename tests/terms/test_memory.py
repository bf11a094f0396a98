"""Steps that don't fit into memory are told before they begin."""

from __future__ import annotations

import pytest

from pytest_modelconform.terms.capacity import Memory
from pytest_modelconform.terms.memory import LEAST, lacking, lacking_after_a_while, of_killed

GB = 10**9


@pytest.mark.parametrize(
    ("needed", "free", "total", "said"),
    [
        (7.1 * GB, 8 * GB, 16 * GB, ""),
        (LEAST - 1, 0, GB, ""),
        (
            7.1 * GB,
            3.2 * GB,
            16 * GB,
            "to load it, about 7.1 GB of memory are needed, and 3.2 GB of 16.0 GB are free: end other programs, or run "
            "with -n 0",
        ),
        (
            7.1 * GB,
            3.2 * GB,
            4 * GB,
            "to load it, about 7.1 GB of memory are needed, and 3.2 GB of 4.0 GB are free: run it on a machine with "
            "more",
        ),
    ],
)
def test_what_does_not_fit(needed: float, free: float, total: float, said: str) -> None:
    assert lacking("to load it", needed, Memory(int(total), int(free))) == said


@pytest.mark.parametrize(("total", "looks", "fits"), [(16 * GB, 3, True), (16 * GB, 99, False), (4 * GB, 99, False)])
def test_others_may_finish(total: int, looks: int, fits: bool) -> None:
    asked = 0

    def look() -> Memory:
        nonlocal asked
        asked += 1
        return Memory(total, 8 * GB if asked >= looks else 3 * GB)

    said = lacking_after_a_while("to load it", 7.0 * GB, look, patience=5.0, sleep=lambda seconds: None)
    assert (said == "") == fits
    assert asked == {3: 3, 99: 6 if total > 7 * GB else 1}[looks]


@pytest.mark.parametrize(
    ("took", "said"),
    [
        (0, "memory may have run out"),
        (1 * GB, "memory may have run out: it had taken 1.0 GB, the machine has 8.0 GB"),
        (7 * GB, "memory has probably run out: it had taken 7.0 GB, the machine has 8.0 GB"),
    ],
)
def test_why_a_process_may_have_been_killed(took: int, said: str) -> None:
    assert of_killed(took, 8 * GB) == said


def test_what_is_said_where_the_kernel_has_counted() -> None:
    said = "memory ran out, and the kernel ended it: it had taken 1.0 GB or more, the machine has 8.0 GB"
    assert of_killed(GB, 8 * GB, is_certain=True) == said
