"""Parts that run with other numbers than the model's."""

from __future__ import annotations

from ..terms.outcome import Verdict
from .trial import Tried

_RIGHT = (Verdict.PASS, Verdict.IMPRECISE)


def is_wrong(tried: Tried) -> bool | None:
    """Whether a part's numbers are wrong as the cell's are; None where that can't be told, since it did not run."""
    if not tried.fit:
        return None
    if tried.red and tried.outcome.verdict in (*_RIGHT, Verdict.MISMATCH):
        return any(tried.red.values())
    if tried.outcome.verdict is Verdict.MISMATCH:
        return True
    return False if tried.outcome.verdict in _RIGHT else None
