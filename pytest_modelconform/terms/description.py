"""From a module with constants and functions to the frozen dataclass that says what such a module offers.

Formats and runtimes are modules, by us or by other packages. What each name stands for, its type and its default are
declared once, as the fields of a dataclass; a module that doesn't fit is refused with the name of what is wrong.
"""

from __future__ import annotations

import collections.abc
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from types import ModuleType, NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
# From this similarity on (difflib's ratio) a constant is taken for a misspelt one: NARROW for NARROWS has 0.92, while
# REQUIREMENTS, which modules have for themselves, has 0.80 to REQUIRES.
_CLOSE = 0.85
_SAID = {str: "a string", bool: "True or False", int: "a whole number", Any: "anything"}


def described(
    module: ModuleType,
    kind: type[T],
    what: str,
    derived: Mapping[str, Any],
    told: Mapping[str, Any] | None = None,
    needs: Sequence[str] = (),
    unseen: Sequence[str] = (),
) -> T:
    """The description of a module. Raises TypeError naming the module, the member and what is expected of it.

    kind: a dataclass; each field is a name that a module may define, and has to where it has no default. what: as
    messages say it, "runtime". derived: defaults that depend on other members. told: members that no module defines.
    needs: fields that this module has to define though they have a default. unseen: names that the annotations use and
    that are imported for mypy only.
    """
    known: dict[str, Field[Any]] = {member.name: member for member in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind, localns=dict.fromkeys(unseen, Any))
    told = told or {}
    given = {
        name: _listed(getattr(module, name), hints[name])
        for name in known
        if name not in told and hasattr(module, name)
    }
    _refuse_misspelt(module, what, known, given)
    lacks = [
        name for name in known if name not in given and (name in needs or _is_needed(known[name], {**derived, **told}))
    ]
    if lacks:
        expected = "; ".join(f"{name} must be {_said(hints[name])}" for name in lacks)
        raise TypeError(f"{what} module {module.__name__} lacks {', '.join(lacks)}: {expected}")
    for name, value in given.items():
        if not _fits(value, hints[name]):
            expected = _said(hints[name])
            raise TypeError(f"{what} module {module.__name__}: {name} must be {expected}, not {value!r}")
    return kind(**{**derived, **given, **told})


def _is_needed(member: Field[Any], derived: Mapping[str, Any]) -> bool:
    return member.default is MISSING and member.default_factory is MISSING and member.name not in derived


def _refuse_misspelt(module: ModuleType, what: str, known: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raises TypeError for a constant that is called almost like one that the module doesn't define."""
    missing = [name for name in known if name.isupper() and name not in given]
    for name in vars(module):
        if name.isupper() and not name.startswith("_") and name not in known:
            near = difflib.get_close_matches(name, missing, 1, _CLOSE)
            if near:
                raise TypeError(f"{what} module {module.__name__} defines {name}. Did you mean {near[0]}?")


def _listed(value: Any, hint: Any) -> Any:
    """A set as the sequence that is asked for, always in the same order: modules of other packages have both."""
    is_set = isinstance(value, (set, frozenset)) and get_origin(hint) is collections.abc.Sequence
    return tuple(sorted(value, key=repr)) if is_set else value


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type, as far as these descriptions use them."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is collections.abc.Callable:
        return callable(value)
    if origin is collections.abc.Sequence:
        return (
            isinstance(value, Sequence)
            and not isinstance(value, (str, bytes))
            and all(_fits(one, inner[0]) for one in value)
        )
    if origin is collections.abc.Mapping:
        return isinstance(value, Mapping) and all(_fits(k, inner[0]) and _fits(v, inner[1]) for k, v in value.items())
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _said(hint: Any) -> str:
    """An annotated type, as messages name it."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join("None" if one is NoneType else _said(one) for one in inner)
    if origin is collections.abc.Callable:
        return "a function"
    if origin is collections.abc.Sequence:
        return f"a sequence of {_several(inner[0])}"
    if origin is collections.abc.Mapping:
        return f"a mapping of {_several(inner[0])} to {_several(inner[1])}"
    return _SAID.get(hint) or f"an {hint.__name__}"


def _several(hint: Any) -> str:
    return _said(hint).removeprefix("a ") + ("" if hint is Any else "s")
