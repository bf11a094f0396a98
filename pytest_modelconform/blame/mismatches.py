"""Which operator a mismatch begins at: the first that is wrong, though what it takes is right.

The whole program's results are looked at in one run; where that makes the fault vanish (a fusion that needs its insides
to itself), prefixes of the program are, by halves. What is suspected is tried alone, with the tensors that reach it in
PyTorch. Only what is wrong alone is named; where one operator isn't, what stands before it is added until it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ..terms.blame import Blame
from ..terms.program import OPERATORS, Part
from .dataflow import Dataflow
from .failures import MOST, Found, Progress, first_line, said
from .reducing import fewest, shortest
from .tapped import chosen
from .trial import Trials
from .wrong import is_wrong

# How many suspects are tried alone, of one look at the program.
_MOST_SUSPECTS = 8
# Of how many suspects that are right alone what stands before them is tried, too.
_MOST_GROWN = 2
# More operators than these, that are wrong only together, tell nobody where to look.
_MOST_TOGETHER = 8

_Wrong = Callable[[Sequence[str]], "bool | None"]


@dataclass
class Mismatches:
    """A search."""

    trials: Trials
    progress: Progress
    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    of_module_only: bool = False
    # Names of the operators that the model's wrong outputs come from.
    ends: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Search. Raises OutOfTime."""
        rest = [operator.name for operator in self.trials.program.operators]
        if not self._is_shown():
            return
        while rest and len(self.found) < MOST:
            before = len(self.found)
            looked = _Look(self, Dataflow([o for o in self.trials.program.operators if o.name in rest]))
            if not looked.run():
                self.notes.append(
                    "The model is right once none of its operators writes to its operands (`relu_`, `x += y`): one "
                    "that does is at fault."
                    if not self.found
                    else "The rest is right where what is named is."
                )
                return
            if len(self.found) == before:
                self._not_found(looked)
                return
            named = {operator.name for found in self.found for operator in found.operators}
            rest = [name for name in rest if name not in named]
            if not rest or looked.explained(named):
                return
            self.progress(f"{len(self.found)} found; is there more?")
            if is_wrong(self.trials.tried(self.part(rest))) is not True:
                return
        if len(self.found) >= MOST:
            self.notes.append(f"The search ended with {MOST}; there may be more.")

    def end(self) -> None:
        """Time has ended."""
        self.notes.append("Time ended before all was tried." if self.found else "Time ended before it was found.")

    def blame(self) -> Blame:
        """What was found, in the order of the model."""
        index = self.trials.program.index
        found = sorted(self.found, key=lambda one: index(one.operators[-1].name))
        return Blame(guilty=tuple(one.guilty() for one in found), note=" ".join(self.notes), way=OPERATORS)

    def part(self, names: Sequence[str], outputs: Sequence[str] = ()) -> Part:
        """Operators as a part, with what was found as it should be."""
        named = {operator.name for found in self.found for operator in found.operators}
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
        if not wrong:
            self.of_module_only = True
            self.notes.append("The model is right when exported from its program, and wrong from the module.")
            return False
        self.ends = [name for name, red in whole.red.items() if red]
        return True

    def _not_found(self, looked: _Look) -> None:
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


class _Look:
    """One look at operators of the program of which something is wrong: what is found is added to the search's."""

    def __init__(self, search: Mismatches, flow: Dataflow) -> None:
        self.search, self.flow = search, flow
        self.trials = search.trials
        self.names = [operator.name for operator in flow.operators]
        self.red: dict[str, bool] = {}
        # The fewest operators that are wrong together, where these are too many to be named.
        self.too_many: Sequence[str] = ()

    def run(self) -> bool:
        """Find the suspects, and try them; False where nothing is wrong. Raises OutOfTime."""
        suspects = self._by_taps(self.names, self._ends())
        if not suspects:
            if is_wrong(self.trials.tried(self.search.part(self.names))) is False:
                return False
            suspects = self._by_prefixes()
        alone = [name for name in suspects[:_MOST_SUSPECTS] if self._try_alone(name)]
        if not alone:
            any(self._grow(name) for name in suspects[:_MOST_GROWN])
        return True

    def explained(self, named: set[str]) -> bool:
        """Whether all that was seen to be wrong is named."""
        return bool(self.red) and all(name in named for name, red in self.red.items() if red)

    def _ends(self) -> list[str]:
        """What the model's wrong outputs come from, as far as that is left; else all that nothing rests on."""
        if left := [name for name in self.search.ends if name in self.flow.by_name]:
            return left
        used = {operand for name in self.names for operand in self.flow.operands(name)}
        return [name for name in self.names if name not in used]

    # -- suspects --------------------------------------------------------------------------------------------------

    def _by_taps(self, names: Sequence[str], ends: Sequence[str]) -> list[str]:
        """Those that are wrong though what they rest on is right; none where nothing is wrong any more."""
        taps = chosen([self.flow.by_name[name] for name in names])
        if not taps:
            return []
        self.search.progress(f"looking at {len(taps)} results of {len(names)} operators")
        tried = self.trials.tried(self.search.part(names, taps))
        red = {name: wrong for name, wrong in tried.red.items() if name in taps}
        self.red.update(red)
        if not tried.fit or not any(red.values()):
            return []
        near = self._roots(red, ends)
        # Something may be wrong, nearly right behind it (a softmax), and wrong again.
        reach = self.flow.before(ends) | set(ends)
        others = [name for name in self.flow.in_order(red) if self._is_root(name, red) and name in reach]
        if not near and not others:
            return []
        found = []
        for name in dict.fromkeys([*near, *others]):
            inside = self.flow.before([name], stop=red) - set(red)
            untapped = [each for each in self.flow.in_order(inside & set(names)) if self.flow.by_name[each].comparable]
            finer = self._by_taps([*self.flow.in_order(inside & set(names)), name], [name]) if untapped else []
            found += finer or [name]
        return found

    def _is_root(self, name: str, red: dict[str, bool]) -> bool:
        return red[name] and not any(red[source] for source in self.flow.sources(name, red))

    def _roots(self, red: dict[str, bool], ends: Sequence[str]) -> list[str]:
        """Those that the ends are wrong by: from each back along what is wrong."""
        waiting, seen, found = list(ends), set(), set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in red and not red[name]:
                continue
            wrong = [source for source in self.flow.sources(name, red) if red[source]]
            waiting += wrong
            if not wrong:
                found.add(name)
        return self.flow.in_order(found)

    def _by_prefixes(self) -> list[str]:
        """The last operator of the shortest prefix that is wrong."""
        self.search.progress(f"looking at prefixes of {len(self.names)} operators")

        def wrong(names: Sequence[str]) -> bool | None:
            return is_wrong(self.trials.tried(self.search.part(names)))

        length = shortest(self.names, wrong)
        tried = self.trials.tried(self.search.part(self.names[:length]))
        if not is_wrong(tried):
            return []
        last = self.names[length - 1]
        red = [name for name, is_red in tried.red.items() if is_red and name in self.flow.by_name]
        return red if red and last not in red else [last]

    # -- trying them -----------------------------------------------------------------------------------------------

    def _wrong(self, names: Sequence[str]) -> bool | None:
        return is_wrong(self.trials.tried(self._part(names)))

    def _part(self, names: Sequence[str]) -> Part:
        return self.search.part(names, names[-1:])

    def _try_alone(self, name: str) -> bool:
        if len(self.search.found) == MOST:
            return False
        self.search.progress(f"trying {self.flow.by_name[name].target} ({name}) alone")
        if not self._wrong([name]):
            return False
        self._take([name])
        return True

    def _grow(self, name: str) -> bool:
        """Add what stands before an operator until it is wrong, then leave out what isn't needed for that."""
        before = [*reversed(self.flow.in_order(self.flow.before([name])))]
        self.search.progress(f"{name} is right alone; trying it with what stands before it")

        def window(count: int) -> list[str]:
            return self.flow.in_order({name, *before[:count]})

        count, good = 1, 0
        while True:
            count = min(count, len(before))
            if self._wrong(window(count)):
                break
            if count == len(before):
                return False
            good, count = count, 2 * count
        near = before[good:count]
        size = good + shortest(near, lambda some: self._wrong(window(good + len(some))))
        needed = fewest(window(size), self._wrong) if size < 4 * _MOST_TOGETHER else window(size)
        if len(needed) > _MOST_TOGETHER:
            self.too_many = needed
            return False
        self._take(needed)
        return True

    def _take(self, names: Sequence[str]) -> None:
        tried = self.trials.tried(self._part(names))
        folded = self._folded(names)
        for name in folded if len(names) == 1 else ():
            # With its weights as inputs: wrong so, it is wrong itself.
            if self._wrong([name]):
                names, folded, tried = [name], [], self.trials.tried(self._part([name]))
        names = self.flow.in_order({*names, *folded})
        operators = tuple(self.flow.by_name[name] for name in names)
        self.search.found.append(Found(operators, tried))

    def _folded(self, names: Sequence[str]) -> list[str]:
        """Operators on weights alone, which are inside of a part, that are needed for it to be wrong."""
        inside = self.flow.in_order(self.flow.before(names) & self.flow.constant)
        if not inside:
            return []
        self.search.progress(f"{names[-1]} rests on {len(inside)} operators on weights alone; are they needed?")

        def wrong(kept: Sequence[str]) -> bool | None:
            part = self._part(names)
            fixed = (*part.fixed, *(name for name in inside if name not in (*part.fixed, *kept)))
            return is_wrong(self.trials.tried(replace(part, fixed=fixed)))

        if wrong([]):
            return []
        return fewest(inside, wrong) if len(inside) <= _MOST_TOGETHER else inside
