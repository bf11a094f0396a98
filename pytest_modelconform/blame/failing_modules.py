"""The smallest submodule that fails as its model does, where the model has no program: `torch.export` refuses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..terms.blame import Blame
from ..terms.outcome import Outcome
from ..terms.program import SUBMODULES, Operator, Part
from .failures import Found, Progress
from .hints import likely
from .sameness import is_same
from .trial import Trials


@dataclass
class FailingModules:
    """A search. outcome: what the cell came to.

    own: whether it is the code of what was found itself that fails, and none of the submodules that it calls.
    """

    trials: Trials
    outcome: Outcome
    progress: Progress
    found: Found | None = None
    own: bool = False
    # Calls that could not be tried alone.
    skipped: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Search: at each level the first call that fails, and inside of it. Raises OutOfTime."""
        while calls := self._inside("" if self.found is None else self.found.operators[0].name):
            if not self._one_of(calls):
                break
        self.own = True

    def end(self) -> None:
        """Time has ended: what was found last is the smallest so far."""

    def blame(self) -> Blame:
        """What was found."""
        notes = [self.trials.program.problem] if self.trials.program.problem else []
        if self.found is None:
            why = (
                "No submodule fails alike when it is alone: it is the code of the model itself."
                if self.own
                else "Time ended before a submodule had failed alike."
            )
            return Blame(note=_joined([*notes, why, self._untried()]), way=SUBMODULES)
        [operator] = self.found.operators
        if not self.own:
            notes.append(f"Time ended before what {operator.name} calls had been tried.")
        elif self._inside(operator.name):
            notes.append(f"None of the submodules that {operator.name} calls fails alike: it is its own code.")
        notes.append(self._untried())
        return Blame(guilty=(self.found.guilty(),), note=_joined(notes), way=SUBMODULES)

    def _inside(self, name: str) -> list[Operator]:
        """The calls that a call makes itself; of the model for ""."""
        program = self.trials.program
        return [operator for operator in program.operators if program.parents.get(operator.name, "") == name]

    def _one_of(self, calls: Sequence[Operator]) -> bool:
        """Whether one of some calls fails alike when it is alone, which is then what was found."""
        for call in self._likeliest_first(calls):
            self.progress(f"{call.name} ({call.target}) alone …")
            tried = self.trials.tried(Part(operators=(call.name,), way=SUBMODULES))
            if not tried.fit:
                self.skipped.append(call.name)
            elif is_same(self.outcome, tried.outcome):
                self.found = Found((call,), tried)
                self.skipped = []
                return True
        return False

    def _likeliest_first(self, calls: Sequence[Operator]) -> list[Operator]:
        """What the message names, then one of each kind, the largest first, then the others."""
        hints = likely(calls, self.outcome)
        sizes = {call.name: self._size(call.name) for call in calls}
        rest = sorted((call for call in calls if call not in hints), key=lambda call: -sizes[call.name])
        seen: set[tuple[str, tuple[str, ...]]] = set()
        firsts, others = list[Operator](), list[Operator]()
        for call in rest:
            kind = (call.target, call.inputs)
            (others if kind in seen else firsts).append(call)
            seen.add(kind)
        return [*hints, *firsts, *others]

    def _size(self, name: str) -> int:
        return 1 + sum(self._size(call.name) for call in self._inside(name))

    def _untried(self) -> str:
        if not self.skipped:
            return ""
        names = ", ".join(self.skipped[:3]) + (" …" if len(self.skipped) > 3 else "")
        return f"Not tried alone, since no case could be made of it: {names}."


def _joined(notes: Sequence[str]) -> str:
    return " ".join(note for note in notes if note)
