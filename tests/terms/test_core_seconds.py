"""Core-seconds, as workers report them."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelconform.terms.core_seconds import KINDS, CoreSeconds


def test_answers_are_summed_by_kind() -> None:
    spent = CoreSeconds()
    for op, seconds in [("hello", 1.0), ("run", 2.0), ("train", 0.5), ("quit", 0.25), ("run", 1)]:
        answer = {"ok": True, "core_seconds": seconds}
        spent.take(op, answer)
        # Whoever reads the answer, or keeps it in the cache, doesn't see it.
        assert answer == {"ok": True}
    spent.add("harness", 4.0)
    assert spent.by_kind() == {"start": 1.0, "run": 3.5, "other": 0.25, "harness": 4.0}


@pytest.mark.parametrize("said", ["3", -1.0, float("nan"), float("inf"), 1e300, None, [1], {}])
def test_what_is_no_number_of_seconds_is_ignored(said: Any) -> None:
    spent = CoreSeconds()
    spent.take("run", {"core_seconds": said})
    spent.take("run", {})
    assert spent.by_kind() == {}


def test_every_operation_of_the_wire_has_a_kind() -> None:
    from pytest_modelconform.workers.host.host import handlers

    assert set(handlers("cpu", 1)) <= set(KINDS)
