"""The fewest operators of a program that fail as all of them do.

PyTorch's FX minifier looks for such operators, too, but in one process, for one function that compiles a graph. Here
each try is a cell: in the format and the runtime of the one that failed, in processes that may die.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..terms.blame import Blame
from ..terms.outcome import Outcome
from ..terms.program import Operator, Part
from .dataflow import Dataflow
from .failures import MOST, Found, Progress, first_line, is_searched, lacks_failing_set, said
from .hints import likely
from .reducing import fewest, shortest
from .sameness import is_same
from .trial import Trials, Tried

# How many operators that the message may mean are tried alone.
_MOST_HINTS = 3
# Where time ended, more operators than these say too little to be named.
_NAMED = 4

_Fails = Callable[[Sequence[Operator]], "bool | None"]


@dataclass
class FailingOperators:
    """A search. outcome: what the cell came to. of_module: whether its program does not fail alike."""

    trials: Trials
    outcome: Outcome
    progress: Progress
    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    of_module: bool = False
    # The fewest so far of the place that is searched for.
    best: Found | None = None
    # What is not searched any more: what was found, and other calls of the same operators.
    aside: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Search. Raises OutOfTime."""
        whole = self.trials.tried(Part())
        if note := self._unlike(whole):
            self.notes.append(note)
            self.of_module = True
            return
        operators: Sequence[Operator] = self.trials.program.operators
        while True:
            self.best = Found(operators, whole)
            self._reduce(operators, whole.outcome)
            self._take()
            operators = self._others(operators)
            if not operators or len(self.found) == MOST:
                return
            self.progress(f"{len(self.found)} found; is there more?")
            whole = self.trials.tried(self._part(operators))
            if not whole.fit or not is_searched(whole.outcome):
                if whole.fit and whole.outcome.failed:
                    self.notes.append(f"Without what is named, the rest is {said(whole.outcome)}.")
                return

    def end(self) -> None:
        """Time has ended: what is known so far."""
        if self.best is None:
            if not self.found:
                self.notes.append("Time ended before the program had failed once more.")
            return
        count = len(self.best.operators)
        if count <= _NAMED:
            self._take()
            if count > 1:
                self.notes.append("Time ended before it was known whether fewer operators fail alike.")
            return
        first, last = self.best.operators[0], self.best.operators[-1]
        self.notes.append(f"Time ended at {count} operators that fail alike, {first.name} to {last.name}.")

    def blame(self) -> Blame:
        """What was found."""
        index = self.trials.program.index
        found = sorted(self.found, key=lambda one: index(one.operators[0].name))
        return Blame(
            guilty=tuple(one.guilty() for one in found), note=" ".join(self.notes), way=self.trials.program.way
        )

    # -- one place -------------------------------------------------------------------------------------------------

    def _reduce(self, operators: Sequence[Operator], whole: Outcome) -> None:
        """Leave out of operators that fail what is not needed for it: `best` is what is left."""

        def fails(some: Sequence[Operator]) -> bool | None:
            tried = self.trials.tried(self._part(some))
            if not tried.fit or lacks_failing_set(whole, tried.outcome):
                return None
            same = is_same(whole, tried.outcome)
            if same and self.best is not None and len(some) < len(self.best.operators):
                self.best = Found(tuple(some), tried)
                self.progress(f"{len(some)} of {len(self.trials.program.operators)} operators fail alike")
            return same

        hints = likely(operators, whole)[:_MOST_HINTS]
        if any(fails([hint]) for hint in hints):
            return
        last = _last_needed(operators, hints[:1], fails)
        next((window for window in _windows(operators[:last]) if fails(window)), None)
        assert self.best is not None
        fewest(self.best.operators, fails, keep=self.best.operators[-1:])

    def _part(self, operators: Sequence[Operator]) -> Part:
        every = len(operators) == len(self.trials.program.operators)
        if every:
            return Part()
        names = tuple(operator.name for operator in operators)
        # What rests on weights alone would come along with whatever needs it, and fail there.
        return Part(operators=names, fixed=tuple(self.flow.in_order((self.aside & self.flow.constant) - {*names})))

    @cached_property
    def flow(self) -> Dataflow:
        """What rests on what."""
        return Dataflow(self.trials.program.operators)

    # -- several places --------------------------------------------------------------------------------------------

    def _take(self) -> None:
        assert self.best is not None
        self.found.append(self.best)
        self.best = None

    def _others(self, operators: Sequence[Operator]) -> Sequence[Operator]:
        """Operators that are left to search: without what was found, and without other calls of the same operator."""
        guilty = self.found[-1].operators
        names = {operator.name for operator in guilty}
        alike = [o for o in operators if o.target == guilty[-1].target and o.name not in names]
        if alike:
            calls = "other call, which was" if len(alike) == 1 else "other calls, which were"
            self.notes.append(f"{guilty[-1].target} has {len(alike)} {calls} not tried.")
            names |= {operator.name for operator in alike}
        self.aside |= names
        return [operator for operator in operators if operator.name not in names]

    def _unlike(self, whole: Tried) -> str:
        """Why the program as a whole doesn't show what the cell does; "" if it does."""
        if not whole.fit:
            return f"The model's program can't be a case: {first_line(whole.outcome)}"
        if is_same(self.outcome, whole.outcome):
            return ""
        if whole.outcome.failed:
            return f"From its program, the model fails otherwise than from the module: {said(whole.outcome)}."
        return f"The model is right when exported from its program; from the module, it is {said(self.outcome)}."


def _last_needed(operators: Sequence[Operator], hints: Sequence[Operator], fails: _Fails) -> int:
    """How many of the first operators fail: with the last of them, and not without it."""
    for hint in hints:
        # Where the message is right, two tries do.
        at = operators.index(hint) + 1
        if fails(operators[:at]):
            return at if at == 1 or fails(operators[: at - 1]) is False else shortest(operators[:at], fails)
    return shortest(operators, fails)


def _windows(operators: Sequence[Operator]) -> Iterator[Sequence[Operator]]:
    """The last operator alone, with more and more of what it rests on, then with whatever stands before it."""
    by_name = {operator.name: operator for operator in operators}
    near = reached = {operators[-1].name}
    deep, wanted = 0, 0
    while True:
        near = {name for one in near for name in by_name[one].takes if name in by_name} - reached
        if deep == wanted or not near:
            yield [operator for operator in operators if operator.name in reached]
            wanted = 2 * wanted or 1
        if not near:
            break
        reached, deep = reached | near, deep + 1
    size = 2
    while size < len(operators):
        yield operators[-size:]
        size *= 2
    yield operators
