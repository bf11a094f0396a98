"""Case files as they can be told by their syntax. Nothing of one is executed here: that is the case host's work."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..environments.packages import missing_of_case
from ..formats.frameworks import FRAMEWORKS
from ..terms.case import DEFAULTS, OPTIONAL, TORCH, Tolerance, twin
from ..terms.outcome import Outcome

_PLUGIN = "pytest_modelconform"
# What Python's parser raises for a text that is no Python, or that is nested too deeply for it.
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Declared:
    """A case as its file declares it. fault: why it can't run, or None. has: which of `OPTIONAL` it gives."""

    name: str
    fault: str | None = None
    tags: Sequence[str] = ()
    paper: str = ""
    requires: Sequence[str] = ()
    dtypes: Sequence[str] = ("float32",)
    has: Sequence[str] = ()
    tolerance: Tolerance = field(default_factory=Tolerance)
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    framework: str = TORCH

    def missing(self) -> str | None:
        """None if its packages and its framework are there, else a sentence that says what to do."""
        framework = FRAMEWORKS.get(self.framework)
        return missing_of_case(self.requires) or (framework.unavailable() if framework else None)


@dataclass(frozen=True)
class Declaration:
    """What a case file came to: its cases, or the outcome that stands for the file."""

    cases: Sequence[Declared] = ()
    problem: Outcome | None = None


def is_case_file(path: Path) -> bool:
    """Whether a file is a case file: Python that imports pytest_modelconform at top level, by its syntax alone."""
    name = path.name
    if path.suffix != ".py" or name == "conftest.py" or name.startswith(("_", "test_")):
        return False
    try:
        text = path.read_bytes()
    except OSError:
        return False
    # Parsing is slow next to a search, and most files of a project are not ours.
    if _PLUGIN.encode() not in text:
        return False
    try:
        tree = ast.parse(text)
    except UNREADABLE:
        # It names us and is broken: better an error at stage collect than a file that vanishes.
        return any(
            line.startswith((f"from {_PLUGIN}", f"import {_PLUGIN}"))
            for line in text.decode(errors="replace").splitlines()
        )
    return any(_imports_us(node) for node in tree.body)


def _imports_us(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level == 0 and (node.module or "").partition(".")[0] == _PLUGIN
    return isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == _PLUGIN for alias in node.names)


def static_cases(path: Path) -> list[Declared]:
    """The cases that a file assigns at top level, with literal `requires` and `dtypes`: known without running it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, *UNREADABLE):
        return []
    found = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
            function = node.value.func
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            if name == "Case":
                variable = node.targets[0].id
                dtypes = [dtype for dtype in _literal_strings(node.value, "dtypes") if dtype in DEFAULTS]
                framework = next((k.value for k in node.value.keywords if k.arg == "framework"), None)
                found.append(
                    Declared(
                        path.stem if variable == "case" else variable,
                        requires=_literal_strings(node.value, "requires"),
                        dtypes=tuple(dict.fromkeys(dtypes)) or ("float32",),
                        has=[k.arg for k in node.value.keywords if k.arg in OPTIONAL] + _twins(node.value),
                        framework=str(framework.value) if isinstance(framework, ast.Constant) else TORCH,
                    )
                )
    return found


def _twins(call: ast.Call) -> list[str]:
    """What a literal dict in the field `twins` adds to what the case has."""
    given = next((k.value for k in call.keywords if k.arg == "twins"), None)
    keys = [key.value for key in given.keys if isinstance(key, ast.Constant)] if isinstance(given, ast.Dict) else []
    return [twin(key) for key in keys if isinstance(key, str)]


def _literal_strings(call: ast.Call, field: str) -> Sequence[str]:
    for keyword in call.keywords:
        if keyword.arg == field:
            try:
                value = ast.literal_eval(keyword.value)
            except ValueError:
                return ()
            return tuple(item for item in value if isinstance(item, str)) if isinstance(value, (tuple, list)) else ()
    return ()
