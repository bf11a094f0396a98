"""Where `torch.export` gave up: the frames of its exception tell which submodule ran, which is then tried alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..terms.blame import Blame, Guilty
from ..terms.outcome import Outcome
from ..terms.program import SUBMODULES, Operator, Part, Program
from .failures import Found, Progress, party
from .sameness import is_same, tells
from .trial import Trials


def is_of_capture(program: Program, outcome: Outcome) -> bool:
    """Whether a cell fails by what keeps its model from having a program, at a place that is known."""
    said = program.problem.partition(": ")[2]
    return program.stopped is not None and bool(said) and tells(outcome, said)


@dataclass
class StoppedCapture:
    """A search. outcome: what the cell came to. stopped: where torch.export gave up."""

    trials: Trials
    outcome: Outcome
    progress: Progress
    program: Program
    stopped: Operator
    found: Found | None = None
    # Calls that were tried, or could not be.
    right: list[str] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)
    time_ended: bool = False

    def run(self) -> None:
        """Try the submodule that ran, then those that it is inside of. Raises OutOfTime."""
        by_name = {operator.name: operator for operator in self.program.operators}
        path = self.stopped.module
        while path:
            # Of several calls of a submodule the first one is tried.
            if (call := by_name.get(path)) is not None:
                self.progress(f"torch.export gives up in {path} ({call.target}): does that alone, too?")
                tried = self.trials.tried(Part(operators=(path,), way=SUBMODULES))
                if tried.fit and is_same(self.outcome, tried.outcome):
                    self.found = Found((call,), tried)
                    return
                (self.right if tried.fit else self.unfit).append(path)
            path = path.rpartition(".")[0]

    def end(self) -> None:
        """Time has ended."""
        self.time_ended = True

    def blame(self) -> Blame:
        """What was found: the submodule that fails alone, or else the line that torch.export ended at."""
        place = self.stopped
        notes = [f"torch.export gives up in {place.module or 'the code of the model itself'}."]
        if self.right:
            notes.append(f"Alone, {_and(self.right)} can be exported.")
        if self.unfit:
            notes.append(f"No case could be made of {_and(self.unfit)}.")
        if self.time_ended:
            notes.append("Time ended before that was tried alone.")
        why = "torch.export can't capture the model, before anything is made of its program."
        if self.found is not None:
            [call] = self.found.operators
            if call.name == place.module:
                call = replace(call, file=place.file, line=place.line, source=place.source)
            guilty = replace(Found((call,), self.found.tried).guilty(), why=why)
        else:
            stage = self.outcome.stage.value if self.outcome.stage else ""
            whom, _ = party(self.outcome)
            guilty = Guilty(operators=(place,), stage=stage, message=self.outcome.message, party=whom, why=why)
        return Blame(guilty=(guilty,), note=" ".join(notes), way=SUBMODULES)


def _and(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
