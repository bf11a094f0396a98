"""What failures have in common that were cut down: which ones are searched, whom they concern, how they are said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..terms.blame import EXPORTER, RUNTIME, UNKNOWN, Guilty
from ..terms.outcome import WITH_BITS, Outcome, Stage, Verdict
from ..terms.program import Operator
from .sameness import gist
from .trial import Tried

# How many guilty places are looked for.
MOST = 5
_FAILURES = (Verdict.ERROR, Verdict.CRASH, Verdict.TIMEOUT)
_STAGES = (Stage.EXPORT, Stage.LOAD, Stage.RUN)

# One of `terms.blame.PARTIES`, and why: a sentence.
Whom = tuple[str, str]
# Shows a line of what is being done.
Progress = Callable[[str], None]


@dataclass
class Found:
    """Operators, or one call of a submodule, that fail alike when they are alone."""

    operators: Sequence[Operator]
    tried: Tried
    # Whom it concerns, and why, where that was found out.
    whom: Whom | None = None

    def guilty(self) -> Guilty:
        """As the log has it."""
        outcome = self.tried.outcome
        whom, why = self.whom or party(outcome)
        stage = outcome.stage.value if outcome.stage else ""
        numbers = (outcome.bits, outcome.reference_bits) if outcome.verdict in WITH_BITS else (None, None)
        return Guilty(
            operators=tuple(self.operators),
            stage=stage,
            message=outcome.message,
            bits=numbers[0],
            of=numbers[1],
            party=whom,
            why=why,
        )


def is_searched(outcome: Outcome) -> bool:
    """Whether an outcome is a failure of an exporter or a runtime, rather than a mismatch or a fault of the case."""
    return outcome.verdict in _FAILURES and outcome.stage in _STAGES


def party(outcome: Outcome) -> Whom:
    """Whom a failure concerns as far as its stage tells, and why: a sentence."""
    if outcome.stage is Stage.EXPORT:
        return EXPORTER, "It fails at export, before any runtime has seen a file."
    if outcome.verdict in (Verdict.CRASH, Verdict.TIMEOUT):
        what = "crashes" if outcome.verdict is Verdict.CRASH else "takes too long"
        return RUNTIME, f"The runtime {what}, and a file must not make it do that, whatever it holds."
    return UNKNOWN, ""


def lacks_failing_set(whole: Outcome, part: Outcome) -> bool:
    """Whether a part ran, but on none of the input sets that the whole fails on: nothing follows of that."""
    failing = {name for name, entry in whole.inputs.items() if entry.get("verdict") == whole.verdict.value}
    return bool(failing and part.inputs) and not failing & set(part.inputs)


def said(outcome: Outcome) -> str:
    """A failure in a line: "an error at export (RuntimeError: …)"."""
    stage = f" at {outcome.stage.value}" if outcome.stage else ""
    first = first_line(outcome)
    article = "an" if outcome.verdict.value.startswith("e") else "a"
    return f"{article} {outcome.verdict.value}{stage}" + (f" ({first})" if first else "")


def first_line(outcome: Outcome) -> str:
    """The line of a message that tells most, cut where it is long."""
    line = gist(outcome.message)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


_LONGEST = 160
