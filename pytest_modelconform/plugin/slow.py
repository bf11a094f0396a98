"""Cases with the tag `slow`: a plain run leaves them out, and says so with one cell each that did not run."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from ..terms.cell import Cell
from ..terms.outcome import LEFT_OUT, Outcome, Verdict

TAG = "slow"
SETTLED = Outcome(
    Verdict.NOT_RUN, None, f"{LEFT_OUT}tagged {TAG!r}. To run it, name its file, or add --modelconform-slow"
)


def are_wanted(config: pytest.Config, file: Path) -> bool:
    """Whether slow cases of a file run: by the option, by `-m` that speaks of them, or since the file is named."""
    if config.getoption("--modelconform-slow") or config.getini("modelconform_slow"):
        return True
    if re.search(rf"\b{TAG}\b", config.getoption("markexpr", "") or ""):
        return True
    start = config.invocation_params.dir
    return any(Path(os.path.normpath(start / argument.partition("::")[0])) == file for argument in config.args)


def standing_for(cells: Sequence[Cell]) -> list[Cell]:
    """The one cell of a case that stands for all of them: its model check."""
    return [next((cell for cell in cells if cell.is_check), cells[0])] if cells else []
