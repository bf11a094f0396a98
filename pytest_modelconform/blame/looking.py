"""A look at operators of which something is wrong: the suspects, and whether they are wrong alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..report.plural import counted
from ..terms.program import Part
from .dataflow import Dataflow
from .failures import Found, Progress
from .reducing import fewest, shortest
from .tapped import chosen
from .trial import Trials
from .wrong import is_wrong

# How many suspects are tried alone, of one look at the program.
_MOST_SUSPECTS = 8
# How often what was right alone is taken for right, and what follows it is suspected.
_ROUNDS = 2
# Of how many suspects that are right alone what stands before them is tried, too.
_MOST_GROWN = 2
# More operators than these, that are wrong only together, tell nobody where to look.
_MOST_TOGETHER = 8


@dataclass
class Look:
    """A look. flow: the operators. ends: names of those that the model's wrong outputs come from.

    part: some of them, and which of their results are returned, as a part. most: how many places are named.
    """

    trials: Trials
    flow: Dataflow
    ends: Sequence[str]
    part: Callable[[Sequence[str], Sequence[str]], Part]
    progress: Progress
    most: int
    found: list[Found] = field(default_factory=list)
    # The fewest operators that are wrong together, where these are too many to be named.
    too_many: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """Of the operators."""
        return [operator.name for operator in self.flow.operators]

    def run(self) -> bool:
        """Find the suspects, and try them; False where nothing is wrong. Raises OutOfTime."""
        red = self._seen(self.names, self._last())
        if not any(red.values()) and is_wrong(self.trials.tried(self.part(self.names, ()))) is False:
            return False
        suspects: list[str] = []
        for _ in range(_ROUNDS):
            roots = self._roots(red, self._last())
            for some in (roots, [name for name in self._other_roots(red) if name not in roots]):
                # All of them: several may be wrong beside each other.
                if [name for name in some[:_MOST_SUSPECTS] if self._try_alone(name)]:
                    return True
                suspects += some
            # Right alone, so that it may be the look that they are wrong in: some runtimes reuse a result's memory.
            red |= dict.fromkeys(suspects, False)
        last = self._by_prefixes()
        if not [name for name in last[:_MOST_SUSPECTS] if name not in suspects and self._try_alone(name)]:
            any(self._grow(name) for name in list(dict.fromkeys([*last, *suspects]))[:_MOST_GROWN])
        return True

    def _last(self) -> list[str]:
        """What the model's wrong outputs come from, as far as that is left; else all that nothing rests on."""
        if left := [name for name in self.ends if name in self.flow.by_name]:
            return left
        used = {operand for name in self.names for operand in self.flow.operands(name)}
        return [name for name in self.names if name not in used]

    # -- suspects --------------------------------------------------------------------------------------------------

    def _seen(self, names: Sequence[str], ends: Sequence[str]) -> dict[str, bool]:
        """Whether results are wrong, in one run; nothing where that can't be. ends: of the last of these operators."""
        taps = chosen([self.flow.by_name[name] for name in names])
        if not taps:
            return {}
        self.progress(f"looking at {len(taps)} results of {len(names)} operators")
        tried = self.trials.tried(self.part(names, taps))
        red = {name: wrong for name, wrong in tried.red.items() if name in taps}
        if not tried.fit or not any(red.values()):
            return {}
        # Where not all results could be looked at: what is between one and those that were.
        for name in self._roots(red, ends) or self._other_roots(red):
            inside = self.flow.in_order((self.flow.before([name], stop=red) - set(red)) & set(names))
            if any(self.flow.by_name[each].comparable for each in inside):
                red |= {**self._seen([*inside, name], [name]), name: True}
        return red

    def _roots(self, red: Mapping[str, bool], ends: Sequence[str]) -> list[str]:
        """Those that the ends are wrong by, though what they rest on is right: from each back along what is wrong."""
        waiting, seen, found = [end for end in ends if red.get(end, True)], set[str](), set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            wrong = [source for source in self.flow.sources(name, red) if red[source]]
            waiting += wrong
            if not wrong:
                found.add(name)
        return self.flow.in_order(found) if any(red.values()) else []

    def _other_roots(self, red: Mapping[str, bool]) -> list[str]:
        """All of that kind: something may be wrong, nearly right behind it (a softmax), and wrong again."""
        reach = self.flow.before(self._last()) | set(self._last())
        return [
            name
            for name in self.flow.in_order(red)
            if red[name] and name in reach and not any(red[source] for source in self.flow.sources(name, red))
        ]

    def _by_prefixes(self) -> list[str]:
        """The last operator of the shortest prefix that is wrong."""
        self.progress(f"looking at prefixes of {len(self.names)} operators")

        def wrong(names: Sequence[str]) -> bool | None:
            return is_wrong(self.trials.tried(self.part(names, ())))

        length = shortest(self.names, wrong)
        tried = self.trials.tried(self.part(self.names[:length], ()))
        if not is_wrong(tried):
            return []
        last = self.names[length - 1]
        red = [name for name, is_red in tried.red.items() if is_red and name in self.flow.by_name]
        return red if red and last not in red else [last]

    # -- trying them -----------------------------------------------------------------------------------------------

    def _wrong(self, names: Sequence[str]) -> bool | None:
        return is_wrong(self.trials.tried(self._part(names)))

    def _part(self, names: Sequence[str]) -> Part:
        return self.part(names, names[-1:])

    def _try_alone(self, name: str) -> bool:
        if len(self.found) == self.most:
            return False
        self.progress(f"trying {self.flow.by_name[name].target} ({name}) alone")
        if not self._wrong([name]):
            return False
        self._take([name])
        return True

    def _grow(self, name: str) -> bool:
        """Add what stands before an operator until it is wrong, then leave out what isn't needed for that."""
        before = [*reversed(self.flow.in_order(self.flow.before([name])))]
        if not before:
            return False
        self.progress(f"{name} is right alone; trying it with what stands before it")

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
        self.found.append(Found(operators, tried))

    def _folded(self, names: Sequence[str]) -> list[str]:
        """Operators on weights alone, which are inside of a part, that are needed for it to be wrong."""
        inside = self.flow.in_order(self.flow.before(names) & self.flow.constant)
        if not inside:
            return []
        self.progress(f"{names[-1]} rests on {counted(len(inside), 'operator')} on weights alone: trying without")

        def wrong(kept: Sequence[str]) -> bool | None:
            part = self._part(names)
            fixed = (*part.fixed, *(name for name in inside if name not in (*part.fixed, *kept)))
            return is_wrong(self.trials.tried(replace(part, fixed=fixed)))

        if wrong([]):
            return []
        return fewest(inside, wrong) if len(inside) <= _MOST_TOGETHER else inside
