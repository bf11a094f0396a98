"""The option for how long a run looks for the operators that its cells fail at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

NAME = "--modelconform-blame"
_INI = "modelconform_blame"
# Seconds for a cell where nobody says how many, and of a run where nobody asked for any search; these for all cells.
USUAL = 60.0
UNASKED, IN_ALL = USUAL, 300.0
_ON, _OFF = "on", "off"
_HELP = (
    "look for the operator that a cell fails at, for at most so many seconds a cell, in all cells that are not as "
    "expected; off: in none (default: 60 seconds a cell, 5 minutes in all, once all cells have run)"
)


def add(group: pytest.OptionGroup, parser: pytest.Parser) -> None:
    """Declare it, and its key of the ini file."""
    group.addoption(NAME, nargs="?", const=_ON, default=None, metavar="SECONDS", help=_HELP)
    parser.addini(_INI, f"as {NAME}: {_HELP}", default="")


def seconds(config: pytest.Config) -> tuple[float, bool]:
    """How many a cell, 0 for none, and whether somebody asked for it. Raises pytest.UsageError."""
    given = config.getoption(NAME)
    text = str(config.getini(_INI) if given is None else given).strip()
    if not text:
        return UNASKED, False
    if text == _OFF:
        return 0.0, False
    if text == _ON:
        return USUAL, True
    try:
        found = float(text)
        if not 0 <= found < float("inf"):
            raise ValueError
    except ValueError:
        import pytest

        raise pytest.UsageError(
            f"{NAME}: invalid time {text!r}: expected seconds for a cell, or off. Where a file or folder "
            f"follows, write {NAME}=60."
        ) from None
    return found, found > 0
