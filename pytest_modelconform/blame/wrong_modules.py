"""The smallest submodules whose numbers are wrong, where the model's program can't be had or doesn't show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..terms.blame import Blame
from ..terms.outcome import Outcome
from ..terms.program import SUBMODULES, Operator, Part, Program
from .failures import MOST, Found, Progress, first_line, lacks_failing_set, said
from .trial import Trials, Tried
from .wrong import is_wrong


@dataclass
class WrongModules:
    """A search. outcome: what the cell came to. program: the model's submodules."""

    trials: Trials
    outcome: Outcome
    progress: Progress
    program: Program
    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    # Calls that could not be tried alone.
    skipped: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Search: what is wrong alone, and inside of it. Raises OutOfTime."""
        whole = self.trials.tried(Part(way=SUBMODULES))
        if is_wrong(whole) is not True:
            self.notes.append(self._unlike(whole))
            return
        if not self._look("", self._inside("")) and not self.found:
            self.notes.append(
                "No submodule is wrong alone, with what reaches it in PyTorch"
                + (f", as far as they can be tried ({self._untried()} can't)." if self.skipped else "")
                + ("" if self.skipped else ": look at what the model's own forward does.")
            )

    def end(self) -> None:
        """Time has ended."""
        self.notes.append("Time ended before all submodules had been tried.")

    def blame(self) -> Blame:
        """What was found, in the order of the model."""
        index = self.program.index
        found = sorted(self.found, key=lambda one: index(one.operators[0].name))
        notes = [f"{self.program.problem.rstrip('.')}."] if self.program.problem else []
        return Blame(guilty=tuple(one.guilty() for one in found), note=" ".join([*notes, *self.notes]), way=SUBMODULES)

    def _inside(self, name: str) -> list[Operator]:
        """The calls that a call makes itself; of the model for ""."""
        return [call for call in self.program.operators if self.program.parents.get(call.name, "") == name]

    def _look(self, name: str, calls: Sequence[Operator]) -> bool:
        """Whether some of the calls that a call makes are wrong: what is, or is inside of it, is then found."""
        any_wrong = False
        for call in calls:
            if len(self.found) == MOST:
                return any_wrong
            self.progress(f"trying {call.name} ({call.target}) alone")
            tried = self.trials.tried(Part(operators=(call.name,), way=SUBMODULES))
            wrong = is_wrong(tried)
            if wrong is None:
                # Such as a list of modules, or one that is called with an object: what it calls may be a case.
                self.skipped.append(call.name)
                any_wrong |= self._look(call.name, self._inside(call.name))
            elif wrong:
                any_wrong = True
                # Kept before its insides are looked at, which time may not allow.
                found = Found((call,), tried)
                self.found.append(found)
                if self._look(call.name, self._inside(call.name)):
                    self.found.remove(found)
        return any_wrong

    def _untried(self) -> str:
        return ", ".join(self.skipped[:3]) + (" …" if len(self.skipped) > 3 else "")

    def _unlike(self, whole: Tried) -> str:
        if not whole.fit:
            return f"The model can't be a case of its own: {first_line(whole.outcome)}"
        if lacks_failing_set(self.outcome, whole.outcome):
            return "Parts can't be run on the input sets that the cell fails with."
        if is_wrong(whole) is None:
            return f"As a case of its own, the model is {said(whole.outcome)}."
        return "As a case of its own, the model is right: it may depend on what ran before, or on chance."
