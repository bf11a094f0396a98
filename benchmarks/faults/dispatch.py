"""Modes under which torch runs with some operators changed, or counts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

Values = dict[str, Any]  # an operator's arguments by name
# Changes the arguments in place and returns None, or returns (what the operator returns,). False: does not apply.
Change = Callable[[Any, Values], "tuple[Any] | bool | None"]


def call(func: Any, values: Values) -> Any:
    """Call an operator with arguments by name."""
    arguments = func._schema.arguments
    positional = [values[a.name] for a in arguments if not a.kwarg_only]
    return func(*positional, **{a.name: values[a.name] for a in arguments if a.kwarg_only})


def name_of(func: Any) -> str:
    """`relu` for `aten.relu.default` and for `aten.relu_.default`."""
    return str(func._schema.name.partition("::")[2]).rstrip("_")


@dataclass(frozen=True)
class Site:
    """A call of an operator in a forward: the k-th one, from 0; all of them with None."""

    operators: tuple[str, ...]
    change: Change
    only: int | None


class Changed(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs with operators changed. `applied` counts the calls that were."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True, the default, imports the compiler

    def __init__(self, sites: list[Site]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sites = sites
        self.seen = [0] * len(sites)
        self.applied = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = name_of(func)
        for i, site in enumerate(self.sites):
            if name not in site.operators:
                continue
            self.seen[i] += 1
            if site.only not in (None, self.seen[i] - 1):
                continue
            values = {a.name: a.default_value for a in func._schema.arguments}
            values.update(zip(values, args, strict=False))
            values.update(kwargs or {})
            done = site.change(func, values)
            if done is not False:
                self.applied += 1
                return done[0] if isinstance(done, tuple) else call(func, values)
        return func(*args, **(kwargs or {}))


class Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts calls by operator."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: dict[str, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = name_of(func)
        self.calls[name] = self.calls.get(name, 0) + 1
        return func(*args, **(kwargs or {}))
