"""Nests of an operator's operands."""

from __future__ import annotations

from pytest_modelconform.workers.host.operands import leaves, mapped


def test_lists_and_tuples_are_gone_through() -> None:
    value = (1, [2, (3, None)], ())
    assert mapped(lambda leaf: leaf and leaf + 1, value) == (2, [3, (4, None)], ())
    assert list(leaves(value)) == [1, 2, 3, None]
    assert mapped(str, {"a": 1}) == "{'a': 1}"  # no operator takes one
