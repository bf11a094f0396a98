"""Options of a case for an exporter: which of the functions that a format calls takes them. Runs in the case host."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

# Of functions in C++, and of those behind a decorator that hides it, what they take, as far as it is of use here.
_UNSPOKEN: dict[str, Sequence[str]] = {
    "openvino.save_model": ("compress_to_fp16",),
    "executorch.exir.to_edge_transform_and_lower": (
        *("transform_passes", "partitioner", "constant_methods", "compile_config", "generate_etrecord"),
    ),
    "executorch.exir.EdgeProgramManager.to_executorch": ("config",),
}
# Given in place of the case's own; the case host takes it out.
DYNAMIC_SHAPES = "dynamic_shapes"


class UnknownOption(ValueError):
    """An option that no function of a format takes. The message lists those that there are."""


def routed(
    options: Mapping[str, Any], functions: Mapping[str, Sequence[str]]
) -> tuple[Mapping[str, Mapping[str, Any]], Mapping[str, Any]]:
    """The options by function, the first that takes each; and those that are not the exporter's call's alone.

    functions: `Format.EXPORT_OPTIONS`. The second part holds `DYNAMIC_SHAPES`, if it is given and a function takes it.
    Raises UnknownOption.
    """
    taken = {name: taken_by(name) for name in functions}
    known = {name: [option for option in taken[name] if option not in left] for name, left in functions.items()}
    found: dict[str, dict[str, Any]] = {}
    apart: dict[str, Any] = {}
    for option, value in options.items():
        function = next((name for name, allowed in known.items() if option in allowed), None)
        if option == DYNAMIC_SHAPES and any(DYNAMIC_SHAPES in allowed for allowed in taken.values()):
            apart[option] = value
        elif function is None:
            raise UnknownOption(_unknown(option, known, taken))
        else:
            found.setdefault(function, {})[option] = value
    return found, apart


def taken_by(name: str) -> Sequence[str]:
    """The parameters of a function that is given by its import path, as the installed version has them."""
    if name in _UNSPOKEN:
        return _UNSPOKEN[name]
    words = name.split(".")
    for end in range(len(words) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(words[:end]))
        except ModuleNotFoundError:
            continue
        for word in words[end:]:
            found = getattr(found, word)
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        parameters = inspect.signature(found).parameters.values()
        return [p.name for p in parameters if p.kind in named and not p.name.startswith("_") and p.name != "self"]
    raise ModuleNotFoundError(name)


def _unknown(option: str, known: Mapping[str, Sequence[str]], taken: Mapping[str, Sequence[str]]) -> str:
    if ours := next((name for name, allowed in taken.items() if option in allowed), None):
        return f"the option {option!r} of {ours} can't be given here: the plugin gives it, or it has no effect"
    near = difflib.get_close_matches(option, [name for names in known.values() for name in names], 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = "; ".join(f"{name} takes {', '.join(names)}" for name, names in known.items())
    return f"there is no option {option!r}.{hint} {listed}"
