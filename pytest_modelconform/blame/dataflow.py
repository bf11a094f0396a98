"""What comes before what in a program."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property

from ..terms.program import Operator


class Dataflow:
    """Operators in order, as a graph. Operands that are none of them are inputs."""

    def __init__(self, operators: Sequence[Operator]) -> None:
        self.operators = operators
        self.by_name: Mapping[str, Operator] = {operator.name: operator for operator in operators}

    def operands(self, name: str) -> list[str]:
        """The operators whose results one takes."""
        return [other for other in self.by_name[name].takes if other in self.by_name]

    def before(self, names: Iterable[str], stop: Collection[str] = ()) -> set[str]:
        """All that these rest on, without themselves; not beyond those that stop."""
        found: set[str] = set()
        waiting = [operand for name in names for operand in self.operands(name)]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += () if name in stop else self.operands(name)
        return found

    def sources(self, name: str, seen: Collection[str]) -> set[str]:
        """Those that are seen and that one rests on, through others that are not."""
        return self.before([name], stop=seen) & set(seen)

    def in_order(self, names: Collection[str]) -> list[str]:
        """In the order of the program."""
        return [operator.name for operator in self.operators if operator.name in names]

    @cached_property
    def constant(self) -> set[str]:
        """Those that rest on no input: on weights alone."""
        found: set[str] = set()
        for operator in self.operators:
            if all(operand in found for operand in operator.takes):
                found.add(operator.name)
        return found
