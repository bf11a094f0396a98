"""Parts that run with other numbers than the model's."""

from __future__ import annotations

from ..terms.blame import Guilty
from ..terms.outcome import Verdict
from .failures import Found
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


def wrong_of(found: Found) -> Guilty:
    """As the log has it."""
    outcome = found.tried.outcome
    of = outcome.reference_bits
    stage = outcome.stage.value if outcome.stage else ""
    return Guilty(operators=tuple(found.operators), stage=stage, message=outcome.message, bits=outcome.bits, of=of)
