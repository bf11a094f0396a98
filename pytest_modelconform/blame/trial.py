"""What a search asks: does this part of the model fail, too?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..terms.outcome import Outcome
from ..terms.program import Part, Program


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What a part came to in the cell's format and runtime.

    red: by name of each operator whose result is an output of the part, whether it is wrong; of an error, none.
    fit: whether the part could be judged at all: False where it is not a case (it can't be built, or its reference
    can't be had), so that nothing follows. file: the part's case file, which declares the case `part`.
    """

    outcome: Outcome
    red: Mapping[str, bool] = field(default_factory=dict)
    fit: bool = True
    file: Path | None = None
    seconds: float = 0.0


class Trials(Protocol):
    """Runs parts of one cell's model. What a part came to is kept, so that asking again costs nothing."""

    @property
    def program(self) -> Program:
        """The model's operators, or its submodules where it can't be exported by `torch.export`."""

    @property
    def submodules(self) -> Program:
        """The model's submodules, also where it has a program."""

    def tried(self, part: Part) -> Tried:
        """Run a part in the cell's format, runtime, device, dtype and precision. Raises OutOfTime."""

    def left(self) -> float:
        """The seconds that the search may still take."""


class OutOfTime(Exception):
    """The time that the search may take has ended."""
