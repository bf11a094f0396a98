"""Cases that a file makes and gives no name: nothing would test them, and nobody would miss them."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from pytest_modelconform.terms import case as terms
from pytest_modelconform.terms.case import Case


class Made:
    """The cases that the top level of a module makes, with the lines that do so, by itself or by what it calls."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._made: list[tuple[Case, int]] = []
        self._replaced: list[Case] = []

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note the cases that are made meanwhile."""
        terms.hearing.append(self._hear)
        try:
            yield
        finally:
            terms.hearing.remove(self._hear)

    def _hear(self, case: Case) -> None:
        frame = sys._getframe(1)
        while frame.f_code.co_name != "<module>":
            if frame.f_code is dataclasses.replace.__code__:
                # It lives on in what becomes of it.
                self._replaced.append(frame.f_locals["obj"])
            if frame.f_back is None:
                return
            frame = frame.f_back
        # Else it is of a module that the file imports.
        if frame.f_globals is vars(self._module):
            self._made.append((case, frame.f_lineno))

    def fault(self) -> str:
        """What is wrong, and the remedy; "" where each case has a name, or is put away under one with an underscore."""
        named = [*self._replaced]
        for variable, value in vars(self._module).items():
            if variable.startswith("_"):
                named += _cases_in(value)
            elif isinstance(value, Case):
                named.append(value)
        known = set(map(id, named))
        lost = [line for case, line in self._made if id(case) not in known]
        if not lost:
            return ""
        line, count = Counter(lost).most_common(1)[0]
        cases = "a case is made that has" if count == 1 else f"{count} cases are made that have"
        return (
            f"line {line}: {cases} no variable at module level, and would not be tested. Give each one its own: in a "
            f'loop, `globals()[f"net_{{size}}"] = Case(…)`; from a list, one assignment each. A variable whose name '
            "begins with an underscore keeps what is not to be tested"
        )


def _cases_in(value: Any) -> list[Case]:
    """The cases in a value: itself, or in lists, dicts and the like."""
    if isinstance(value, Case):
        return [value]
    inside: Iterable[Any] = ()
    if isinstance(value, dict):
        inside = value.values()
    elif isinstance(value, (list, tuple, set, frozenset)):
        inside = value
    return [case for one in inside for case in _cases_in(one)]
