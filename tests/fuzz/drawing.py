"""Examples drawn from hypothesis's strategies in one go, always the same ones."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")


def drawn(strategy: SearchStrategy[T], count: int) -> list[T]:
    """Up to `count` different examples. Derandomized, so that what fails fails again; nothing is shrunk or stored."""
    found: list[T] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(value: T) -> None:
        if value not in found:
            found.append(value)

    draw()
    return found


def near_miss(name: str, place: int, how: int) -> str:
    """A name with one slip of the finger in it."""
    place %= len(name)
    slips = (
        name[:place] + name[place + 1 :],
        name[:place] + name[place] + name[place:],
        name[:place] + name[place : place + 2][::-1] + name[place + 2 :],
        name + "s",
        name.replace("_", "") + "_",
    )
    return slips[how % len(slips)]
