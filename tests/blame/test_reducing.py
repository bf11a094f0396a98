"""Delta debugging over plain numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_modelconform.blame.reducing import fewest, shortest


class Asked:
    """Fails if all that is needed is there; what is in `odd` can't be tried as the last one."""

    def __init__(self, needed: set[int], odd: Sequence[int] = ()) -> None:
        self.needed, self.odd, self.tries = needed, odd, 0

    def __call__(self, items: Sequence[int]) -> bool | None:
        self.tries += 1
        if items and items[-1] in self.odd:
            return None
        return self.needed <= set(items)


@pytest.mark.parametrize("last", [0, 1, 5, 62, 63])
def test_the_shortest_prefix(last: int) -> None:
    asked = Asked({last})
    assert shortest(range(64), asked) == last + 1
    assert asked.tries <= 6


@pytest.mark.parametrize("odd", [[31], [30, 31, 32], [15, 16, 31, 32, 47, 48]])
def test_cuts_that_cannot_be_tried(odd: list[int]) -> None:
    for last in set(range(64)) - set(odd):
        found = shortest(range(64), Asked({last}, odd))
        # Where the cut before the right one can't be tried, a longer one is as good as it gets.
        assert last < found <= last + 1 + len(odd)
        assert found - 1 == last or last + 1 in odd or found == 64


def test_where_no_cut_can_be_tried() -> None:
    assert shortest(range(64), Asked({5}, range(64))) == 64


@pytest.mark.parametrize("needed", [{7}, {3, 4}, {0, 19}, {2, 9, 16}, set(range(20))])
def test_the_fewest(needed: set[int]) -> None:
    asked = Asked(needed)
    assert fewest(range(20), asked) == sorted(needed)
    assert asked.tries < 80


def test_what_is_kept_is_not_left_out() -> None:
    assert fewest(range(20), Asked({3}), keep=[11]) == [3, 11]
