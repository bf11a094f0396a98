"""The smallest submodule that fails as its model does, where the model has no program: `torch.export` refuses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..terms.blame import Blame, Guilty
from ..terms.outcome import Outcome
from ..terms.program import SUBMODULES, Operator, Part, Program
from .failures import Found, Progress, lacks_failing_set, party
from .hints import likely, raised_at
from .sameness import is_same
from .trial import Trials


@dataclass
class FailingModules:
    """A search. outcome: what the cell came to. program: the model's submodules.

    own: whether it is the code of what was found itself that fails, and none of the submodules that it calls.
    """

    trials: Trials
    outcome: Outcome
    progress: Progress
    program: Program
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
        notes = [self.program.problem] if self.program.problem else []
        if self.found is None:
            guilty = self._where_raised()
            if not self.own:
                none = "Time ended before a submodule had failed alike"
            else:
                none = "No submodule that can be tried fails alike when it is alone"
            if self.own and not self.skipped:
                notes.append(f"{none}: it is the model's own code.")
            else:
                notes += [f"{none}; the line is the exporter's word." if guilty else f"{none}.", self._untried()]
            return Blame(guilty=guilty, note=_joined(notes), way=SUBMODULES)
        [operator] = self.found.operators
        if not self.own:
            notes.append(f"Time ended before what {operator.name} calls had been tried.")
        elif self._inside(operator.name):
            notes.append(f"None of the submodules that {operator.name} calls fails alike: it is its own code.")
        if self.own and (place := raised_at(self.found.tried.outcome)):
            operator = replace(operator, file=place.file, line=place.line, source=place.source)
            self.found = replace(self.found, operators=(operator,))
        notes.append(self._untried())
        return Blame(guilty=(self.found.guilty(),), note=_joined(notes), way=SUBMODULES)

    def _inside(self, name: str) -> list[Operator]:
        """The calls that a call makes itself; of the model for ""."""
        parents = self.program.parents
        return [operator for operator in self.program.operators if parents.get(operator.name, "") == name]

    def _one_of(self, calls: Sequence[Operator]) -> bool:
        """Whether one of some calls fails alike when it is alone, which is then what was found."""
        for call in self._likeliest_first(calls):
            self.progress(f"{call.name} ({call.target}) alone …")
            tried = self.trials.tried(Part(operators=(call.name,), way=SUBMODULES))
            if not tried.fit or lacks_failing_set(self.outcome, tried.outcome):
                # Such as a list of modules, or one that is called with an object: what it calls may be a case.
                self.skipped.append(call.name)
                if (inside := self._inside(call.name)) and self._one_of(inside):
                    return True
            elif is_same(self.outcome, tried.outcome) and self._is_there(tried.outcome):
                self.found = Found((call,), tried)
                self.skipped = []
                return True
        return False

    def _is_there(self, outcome: Outcome) -> bool:
        """Whether an error is raised at the line where the cell's is, as far as both tell a line."""
        own, other = raised_at(self.outcome), raised_at(outcome)
        return own is None or other is None or own.is_beside(other)

    def _where_raised(self) -> tuple[Guilty, ...]:
        """The line of the model's code that the cell's message tells."""
        if (place := raised_at(self.outcome)) is None:
            return ()
        operator = Operator(
            name="", target=place.function, call=place.source, file=place.file, line=place.line, source=place.source
        )
        whom, why = party(self.outcome)
        stage = self.outcome.stage.value if self.outcome.stage else ""
        return (Guilty(operators=(operator,), stage=stage, message=self.outcome.message, party=whom, why=why),)

    def _likeliest_first(self, calls: Sequence[Operator]) -> list[Operator]:
        """What the message names, then one of each kind, the largest first, then the others."""
        # A call of the same module with the same shapes is exported alike.
        calls = list({(call.name.partition("@")[0], call.inputs): call for call in reversed(calls)}.values())[::-1]
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
