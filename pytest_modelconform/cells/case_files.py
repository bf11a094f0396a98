"""Case files as they can be told by their syntax. Nothing of one is executed here: that is the case host's work."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..environments.packages import missing_of_case
from ..formats.frameworks import FRAMEWORKS
from ..terms.case import DEFAULTS, OPTIONAL, TORCH, Tolerance, twin
from ..terms.exports import FILE, MAKE, OPTIONS, OWN
from ..terms.outcome import Outcome
from . import literals

PACKAGE = "pytest_modelconform"
# What Python's parser raises for a text that is no Python, or that is nested too deeply for it.
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
# What the names of case files don't begin with: tests, and modules that case files import.
_NO_CASES = ("test_", "_")


@dataclass(frozen=True)
class Declared:
    """A case as its file declares it. fault: why it can't run, or None. has: which of `OPTIONAL` it gives.

    operators: what registers operators of its own, by kind (`terms/operators.py`).
    exports: by column what `Export.kind` says of it.
    """

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
    exports: Mapping[str, str] = field(default_factory=dict)
    operators: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def own_operators(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What registers operators of its own, as a `CaseRef` has it."""
        return tuple((kind, tuple(names)) for kind, names in self.operators.items())

    @property
    def own_columns(self) -> tuple[str, ...]:
        """Columns whose artifacts it makes itself or has as files, as a `CaseRef` has it."""
        return tuple(column for column, kind in self.exports.items() if kind in OWN)

    def missing(self) -> str | None:
        """None if its packages and its framework are there, else a sentence that says what to do."""
        framework = FRAMEWORKS.get(self.framework)
        return missing_of_case(self.requires) or (framework.unavailable() if framework else None)


@dataclass(frozen=True)
class Declaration:
    """What a case file came to: its cases, or the outcome that stands for the file.

    by_syntax: whether nothing was imported, so that `Machinery.fault_of` has to be asked before a cell runs.
    """

    cases: Sequence[Declared] = ()
    problem: Outcome | None = None
    by_syntax: bool = False


def is_case_file(path: Path) -> bool:
    """Whether a file is a case file: Python that imports pytest_modelconform at top level, by its syntax alone."""
    if path.suffix != ".py" or path.name == "conftest.py" or path.name.startswith(_NO_CASES) or not _mentions_us(path):
        return False
    text = path.read_bytes()
    try:
        tree = ast.parse(text)
    except UNREADABLE:
        # It names us and is broken: better an error at stage collect than a file that vanishes.
        return any(
            line.startswith((f"from {PACKAGE}", f"import {PACKAGE}"))
            for line in text.decode(errors="replace").splitlines()
        )
    return any(_imports_us(node) for node in tree.body)


def _mentions_us(path: Path) -> bool:
    """Whether our name is in a file. Parsing is slow next to a search, and most files of a project are not ours."""
    try:
        return PACKAGE.encode() in path.read_bytes()
    except OSError:
        return False


def _imports_us(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level == 0 and (node.module or "").partition(".")[0] == PACKAGE
    return isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == PACKAGE for alias in node.names)


def static_cases(path: Path) -> list[Declared]:
    """The cases that a file assigns at top level, with `requires` and `dtypes` as its text tells them."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, *UNREADABLE):
        return []
    names = literals.assigned(tree)
    found = []
    for variable, call in assigned_cases(tree):
        fields = literals.fields(call, names)
        dtypes = [dtype for dtype in _strings(fields, "dtypes", names) if dtype in DEFAULTS]
        framework = fields.get("framework")
        found.append(
            Declared(
                path.stem if variable == "case" else variable,
                tags=_strings(fields, "tags", names),
                paper=next(iter(_strings(fields, "paper", names)), ""),
                requires=_strings(fields, "requires", names),
                dtypes=tuple(dict.fromkeys(dtypes)) or ("float32",),
                has=[name for name in fields if name in OPTIONAL] + _twins(fields.get("twins")),
                exports=_exports(fields.get("exports")),
                framework=str(framework.value) if isinstance(framework, ast.Constant) else TORCH,
            )
        )
    return found


def repeated(path: Path) -> str | None:
    """A sentence for a file that assigns a case to a variable twice: Python would keep the last one; else None."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, *UNREADABLE):
        return None
    lines: dict[str, int] = {}
    for variable, call in assigned_cases(tree):
        if variable in lines:
            return (
                f"{path.name}, line {call.lineno}: the variable {variable!r} is assigned a Case again, after line "
                f"{lines[variable]}, so that only the last one would be tested. Rename one of them."
            )
        lines[variable] = call.lineno
    return None


def misnamed(path: Path) -> str | None:
    """A sentence for a file that would be a case file under another name, else None.

    A test file that holds tests as well may need a Case for them.
    """
    begin = next((begin for begin in _NO_CASES if path.name.startswith(begin)), None)
    if begin is None or path.name == "__init__.py" or not _mentions_us(path):
        return None
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, *UNREADABLE):
        return None
    if any(map(_is_test, tree.body)) or not any(map(_imports_us, tree.body)) or not any(assigned_cases(tree)):
        return None
    better = path.name.removeprefix(begin) if path.stem != begin else "net.py"
    remedy = f"Rename it, for example to {better}."
    return f"{path.name} imports Case, but a file named {begin}*.py is not collected as a case file. {remedy}"


def _is_test(node: ast.stmt) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return node.name.lower().startswith("test")
    return False


def assigned_cases(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """The variables that are assigned a call of `Case` at top level."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            target = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        else:
            continue
        if isinstance(node.value, ast.Call) and isinstance(target, ast.Name):
            function = node.value.func
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            if name == "Case":
                yield target.id, node.value


def _twins(given: ast.expr | None) -> list[str]:
    """What a literal dict in the field `twins` adds to what the case has."""
    keys = [key.value for key in given.keys if isinstance(key, ast.Constant)] if isinstance(given, ast.Dict) else []
    return [twin(key) for key in keys if isinstance(key, str)]


def _exports(given: ast.expr | None) -> dict[str, str]:
    """The keys of a literal dict in the field `exports`, each with what its call's keywords say of it."""
    found = {}
    for key, value in zip(given.keys, given.values, strict=True) if isinstance(given, ast.Dict) else ():
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            words = {k.arg for k in value.keywords} if isinstance(value, ast.Call) else set()
            found[key.value] = next((kind for kind in (MAKE, FILE) if kind in words), OPTIONS)
    return found


def _strings(fields: Mapping[str, ast.expr], field: str, names: literals.Names) -> Sequence[str]:
    """Of a field that the text tells, its strings; none of another."""
    try:
        value = literals.value_of(fields[field], names) if field in fields else ()
    except (ValueError, TypeError):
        return ()
    values = value if isinstance(value, (tuple, list)) else (value,) if field == "paper" else ()
    return tuple(item for item in values if isinstance(item, str))
