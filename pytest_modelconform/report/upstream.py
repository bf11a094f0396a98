"""From a failure to a report for the project that it is of, in one command."""

from __future__ import annotations

import shlex

from ..terms.cell import INFERENCE, Cell
from ..terms.outcome import Outcome, Stage

_STAGES = (Stage.EXPORT, Stage.LOAD, Stage.RUN, Stage.COMPARE)


def is_upstream(cell: Cell, outcome: Outcome) -> bool:
    """Whether a failure may be an exporter's or a runtime's, for whose project `modelconform repro` writes a folder."""
    return outcome.failed and not cell.is_check and cell.task == INFERENCE and outcome.stage in _STAGES


def repro(cell: str, log: str = "") -> str:
    """The command that writes the folder.

    cell: its id, as it is found from where the command is run. log: the run's, where it is not in the place in which
    logs are looked for.
    """
    named = ["--log", log] if log else []
    return shlex.join(["modelconform", "repro", cell, "-o", "repro", *named])


def blame(cell: str) -> str:
    """The command that writes the operator that a cell fails at as a case of its own, and the folder for that."""
    return shlex.join(["modelconform", "blame", cell, "-o", "blame"])
