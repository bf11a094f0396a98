"""Whom a part that fails alone concerns: other runtimes are asked about its artifact, as for a report upstream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..cells.case_files import Declared
from ..cells.stages import StageFailure
from ..cells.worker import WorkerProblem
from ..repro import concern
from ..repro.concern import Party
from ..repro.opinions import Asker
from ..terms.blame import CONVERTER, EXPORTER, RUNTIME, UNKNOWN
from ..terms.outcome import Stage
from ..terms.wording import Refused
from .cases import NAME
from .failures import Progress, Whom, party
from .machine import Machine
from .trial import Tried

_PARTIES = {
    Party.RUNTIME: RUNTIME,
    Party.EXPORTER: EXPORTER,
    Party.CAPTURE: EXPORTER,
    Party.CONVERTER: CONVERTER,
}


def asked(machine: Machine, case: Declared, progress: Progress) -> Callable[[Tried], Whom]:
    """What tells whom a part concerns. case: the one that was searched in."""

    def whom(tried: Tried) -> Whom:
        found = party(tried.outcome)
        if found[0] != UNKNOWN or tried.file is None or machine.left() <= 0:
            return found
        try:
            return _opinion(machine, case, tried, progress)
        except (StageFailure, WorkerProblem, Refused, OSError):
            # What is known without it is worth as much.
            return found

    return whom


def _opinion(machine: Machine, case: Declared, tried: Tried, progress: Progress) -> Whom:
    assert tried.file is not None
    ref = replace(machine.ref, file=tried.file, relative=tried.file.name, name=NAME)
    cell = replace(machine.cell, file=tried.file.name, case=NAME)

    def said(line: str) -> None:
        progress(line.replace(cell.name, "it once more"))

    asker = Asker(
        machine.machinery, replace(case, name=NAME, has=()), ref, cell, said, machine.left, evaluators_first=True
    )
    try:
        if tried.outcome.stage is Stage.COMPARE:
            # So that others find its numbers.
            machine.machinery.pipeline.run(ref, cell, lambda outcome: True)
        own = tried.outcome
        found = concern.of(own, cell, asker.way, asker.opinions(own), asker.refusal(own))
    finally:
        asker.close()
    return _PARTIES.get(found.party, UNKNOWN), found.why
