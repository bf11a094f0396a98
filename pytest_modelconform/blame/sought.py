"""Which red cells have a guilty operator that can be looked for."""

from __future__ import annotations

from ..cells.concurrency import failed_at_once
from ..cells.registry import Registry
from ..report.matrix import is_surprising
from ..terms.case import TORCH
from ..terms.cell import INFERENCE, CaseRef, Cell
from ..terms.outcome import Outcome, Stage

_STAGES = (Stage.EXPORT, Stage.LOAD, Stage.RUN, Stage.COMPARE)


def is_sought(registry: Registry, ref: CaseRef, cell: Cell, outcome: Outcome) -> bool:
    """Whether a run looks for the operator that a cell fails at: it is a failure, and nobody has recorded it."""
    return is_surprising(outcome) and outcome.failed and not why_not(registry, ref, cell, outcome)


def why_not(registry: Registry, ref: CaseRef, cell: Cell, outcome: Outcome) -> str:
    """Why there is no operator to look for, as the end of a sentence; "" where there may be one."""
    if why := why_never(registry, ref, cell):
        return why
    if outcome.stage not in _STAGES:
        return f"fails at stage {outcome.stage.value if outcome.stage else 'none'}, before anything is exported"
    if failed_at_once(outcome):
        return "is right in one thread and fails from several: no operator is at fault"
    return ""


def why_never(registry: Registry, ref: CaseRef, cell: Cell) -> str:
    """The same, whatever the cell comes to."""
    if cell.is_check:
        return "checks the case itself, before anything is exported"
    if cell.task != INFERENCE:
        return "doesn't compare the outputs of single calls: only such cells are searched"
    if ref.framework != TORCH:
        return f"is of a model in {ref.framework}: only PyTorch's are taken apart"
    if registry.format(cell.format).NEEDS:
        return f"is in {cell.format}, which holds weights only: what computes is the case's own code"
    return ""
