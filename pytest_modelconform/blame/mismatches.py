"""Which operator a mismatch begins at: the first that is wrong, though what it takes is right.

The whole program's results are looked at in one run; where that makes the fault vanish (a fusion that needs its insides
to itself), prefixes of the program are, by halves. What is suspected is tried alone, with the tensors that reach it in
PyTorch. Only what is wrong alone is named; where one operator isn't, what stands before it is added until it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..terms.blame import Blame
from ..terms.outcome import Outcome
from ..terms.program import OPERATORS, Part
from .dataflow import Dataflow
from .failures import MOST, Found, Progress, first_line, lacks_failing_set, said
from .kinds import by_kind, is_slow
from .looking import Look
from .trial import Trials
from .wrong import is_wrong


@dataclass
class Mismatches:
    """A search. outcome: what the cell came to. of_module_only: whether the model is right from its program."""

    trials: Trials
    outcome: Outcome
    progress: Progress
    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    of_module_only: bool = False
    # Names of the operators that the model's wrong outputs come from.
    ends: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Search. Raises OutOfTime."""
        if is_slow(self.outcome, self.trials.program.operators, self.trials.left()):
            note = by_kind(self.trials, self.part, self.progress, self.found)
            if self.found:
                self.notes.append(note)
                return
        if self._is_shown() and self._search() and len(self.found) > 1:
            self._leave_out_harmless()

    def _search(self) -> bool:
        """Find what is wrong, look by look; whether the model is right without it."""
        rest = self.names
        while rest and len(self.found) < MOST:
            before = len(self.found)
            flow = Dataflow([operator for operator in self.trials.program.operators if operator.name in rest])
            looked = Look(self.trials, flow, self.ends, self.part, self.progress, MOST - before)
            is_wrong_still = looked.run()
            self.found += looked.found
            if not is_wrong_still:
                self.notes.append(
                    "The model is right once none of its operators writes to its operands (`relu_`, `x += y`): one "
                    "that does is at fault."
                    if not self.found
                    else "The rest is right where what is named is."
                )
                return False
            if len(self.found) == before:
                self._not_found(looked)
                return False
            named = _names(self.found)
            rest = [name for name in rest if name not in named]
            # What the wrong outputs come from itself needs no proof that it is what makes them wrong.
            if not rest or named.issuperset(self.ends):
                return True
            self.progress(f"{len(self.found)} found; is there more?")
            if is_wrong(self.trials.tried(self.part(rest))) is not True:
                return True
        if len(self.found) >= MOST:
            self.notes.append(f"The search ended with {MOST}; there may be more.")
        return False

    def _leave_out_harmless(self) -> None:
        """Of several, leave out those without which the model would be as wrong: it is right though they are not."""
        for found in list(self.found):
            others = [other for other in self.found if other is not found]
            named = _names(others)
            self.progress(f"does {found.operators[-1].name} alone make the model wrong?")
            part = self.part([name for name in self.names if name not in named], named=named)
            if is_wrong(self.trials.tried(part)) is False:
                self.found = others
                self.notes.append(
                    f"{found.operators[-1].name} is wrong alone, too, but nothing of that is left in what the model "
                    "returns."
                )

    def end(self) -> None:
        """Time has ended."""
        self.notes.append("Time ended before all was tried." if self.found else "Time ended before it was found.")

    def blame(self) -> Blame:
        """What was found, in the order of the model."""
        index = self.trials.program.index
        found = sorted(self.found, key=lambda one: index(one.operators[-1].name))
        return Blame(guilty=tuple(one.guilty() for one in found), note=" ".join(self.notes), way=OPERATORS)

    @property
    def names(self) -> list[str]:
        """Of all operators."""
        return [operator.name for operator in self.trials.program.operators]

    def part(self, names: Sequence[str], outputs: Sequence[str] = (), named: Collection[str] | None = None) -> Part:
        """Operators as a part, with what was found as it should be. named: other operators than those."""
        named = set(_names(self.found) if named is None else named)
        fixed = tuple(name for name in self.flow.in_order(named & self.flow.constant) if name not in names)
        return Part(operators=tuple(names), outputs=tuple(outputs), fixed=fixed)

    @cached_property
    def flow(self) -> Dataflow:
        """The whole program."""
        return Dataflow(self.trials.program.operators)

    def _is_shown(self) -> bool:
        """Whether the program as a whole is wrong; a note, if not."""
        self.progress("is the model wrong when it is exported from its program?")
        whole = self.trials.tried(Part())
        if not whole.fit:
            self.notes.append(f"The model's program can't be a case: {first_line(whole.outcome)}")
            return False
        wrong = is_wrong(whole)
        if wrong is None:
            self.notes.append(
                f"From its program, the model fails otherwise than from the module: {said(whole.outcome)}."
            )
            return False
        if lacks_failing_set(self.outcome, whole.outcome):
            self.notes.append("Parts can't be run on the input sets that the cell fails with.")
            return False
        if not wrong:
            self.of_module_only = True
            self.notes.append("The model is right when exported from its program, and wrong from the module.")
            return False
        self.ends = [name for name, red in whole.red.items() if red]
        return True

    def _not_found(self, looked: Look) -> None:
        if self.found:
            self.notes.append("The model stays wrong without what is named; no other operator is wrong alone.")
        elif looked.too_many:
            first, last = looked.too_many[0], looked.too_many[-1]
            self.notes.append(
                f"No operator is wrong alone: the fewest that are wrong together are {len(looked.too_many)}, "
                f"{first} to {last}."
            )
        else:
            self.notes.append("No operator is wrong alone, with the tensors that reach it.")


def _names(found: Sequence[Found]) -> set[str]:
    return {operator.name for one in found for operator in one.operators}
