"""Case files of which the syntax tells all cases, so that collecting one needs no import.

Only files whose case host lives in an environment of its own are collected in this way: that may be 1.7 GB to install.
The import still happens, before the first of the file's cells runs, and `differs` holds what it gave against the
syntax. So what is decided here is decided by the file's text alone, in every process alike.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..environments import Environment
from ..formats.frameworks import FRAMEWORKS
from ..terms.case import DEFAULTS, OPTIONAL, TAG, TAKEN_TAGS, TORCH, TWINS, Case
from .case_files import PACKAGE, UNREADABLE, Declared, assigned_cases, static_cases

_FIELDS = {field.name for field in fields(Case)}
# With these a file may have variables that its text doesn't name.
_REACHING = {"globals", "locals", "vars", "exec", "eval", "setattr", "delattr", "__import__"}
_REACHING_ATTRIBUTES = {"__dict__", "modules"}  # the last one of sys


class _Unclear(Exception):
    """Why the syntax doesn't tell, beginning with the line."""


def environment_of(cases: Sequence[Declared]) -> Environment | None:
    """That of the host which imports a file: the first case that isn't PyTorch's decides. None for the main one."""
    others = (FRAMEWORKS[case.framework] for case in cases if case.framework in FRAMEWORKS)
    return next((framework.environment for framework in others if framework.name != TORCH), None)


def unclear(path: Path, folders: Sequence[str] = ()) -> str | None:
    """None if the syntax of a file tells all its cases with what their cells depend on; else why not, and where.

    folders: where the project's own modules are, besides the file's folder: these may hand it cases.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, *UNREADABLE):
        return "it can't be parsed"
    try:
        _check(tree)
        _check_imports(tree, [path.parent, *map(Path, folders)])
    except _Unclear as reason:
        return str(reason)
    names = [case.name for case in static_cases(path)]
    same = next((name for name in names if names.count(name) > 1), None)
    return f"two variables both name the case {same!r}" if same else None


def differs(syntax: Sequence[Declared], imported: Sequence[Declared]) -> str | None:
    """How the cases of a file that was imported differ from those of its syntax, in words; None where they don't."""
    names, others = [case.name for case in syntax], [case.name for case in imported]
    if sorted(names) != sorted(others):
        return f"the cases {', '.join(others)}, where its text says {', '.join(names)}"
    by_name = {case.name: case for case in imported}
    for case in syntax:
        other = by_name[case.name]
        if other.fault:
            continue  # It gives no field then, and the fault is this case's verdict.
        for field in ("dtypes", "tags", "requires", "has", "framework", "exports"):
            said, is_so = _plain(getattr(case, field)), _plain(getattr(other, field))
            if said != is_so:
                return f"the case {case.name!r} with the {field} {is_so!r}, where its text says {said!r}"
    return None


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else sorted(value)


def _check(tree: ast.Module) -> None:
    found = list(assigned_cases(tree))
    calls = {id(call.func) for _, call in found}
    names = {variable for variable, _ in found}
    for statement in tree.body:
        if (
            isinstance(statement, ast.Assign)
            and id(getattr(statement.value, "func", None)) in calls
            and len(statement.targets) > 1
        ):
            raise _Unclear(f"line {statement.lineno} assigns one Case to several variables")
    for node in ast.walk(tree):
        _check_node(node, calls, names)
    stored = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)]
    if twice := next((name for name in names if name.startswith("_") or stored.count(name) > 1), None):
        raise _Unclear(f"the variable {twice!r} is assigned more than once, or begins with an underscore")
    for _, call in found:
        _check_call(call)


def _check_node(node: ast.AST, calls: set[int], names: set[str]) -> None:
    line = f"line {getattr(node, 'lineno', 0)}"
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            renamed = alias.name == "Case" and alias.asname
            if alias.name == "*" or renamed or (alias.asname or alias.name) in names:
                raise _Unclear(f"{line} imports more, or under another name, than the text tells")
        return
    word = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    if word == "Case" and id(node) not in calls:
        raise _Unclear(f"{line} uses Case other than to assign one to a variable at top level")
    named = isinstance(node, ast.Name)
    if word in (_REACHING if named else _REACHING_ATTRIBUTES) and (word != "modules" or _is_of_sys(node)):
        raise _Unclear(f"{line} uses {word}, which may make variables that the text doesn't name")
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and word in names:
        raise _Unclear(f"{line} uses the case {word!r}, which may make another one of it")
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name in names:
        raise _Unclear(f"{line} defines {node.name!r}, which is a case, too")


def _check_imports(tree: ast.Module, folders: Sequence[Path]) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            modules = ["." if node.level else str(node.module)]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for top in (module.partition(".")[0] for module in modules):
            own = (path for folder in folders for path in (folder / f"{top}.py", folder / top / "__init__.py"))
            if not top or (top != PACKAGE and any(path.exists() for path in own)):
                raise _Unclear(f"line {node.lineno} imports a module of the project, which may hand it cases")


def _is_of_sys(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sys"


def _check_call(call: ast.Call) -> None:
    line = f"line {call.lineno}"
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise _Unclear(f"{line}: a Case takes its fields by name, not by * or **")
    given = {str(keyword.arg): keyword.value for keyword in call.keywords}
    if unknown := given.keys() - _FIELDS:
        raise _Unclear(f"{line}: Case has no field {min(unknown)!r}")
    for name in ("dtypes", "requires", "tags"):
        values = _strings(given[name]) if name in given else ()
        fits = values is not None and (name != "dtypes" or name not in given or _distinct(values))
        if not fits or (name == "tags" and not all(TAG.fullmatch(v) and v not in TAKEN_TAGS for v in values or ())):
            raise _Unclear(f"{line}: {name!r} is not written out as a tuple of valid strings")
    framework = given.get("framework")
    if framework is not None and _constant(framework) not in FRAMEWORKS:
        raise _Unclear(f"{line}: 'framework' is not written out as a string")
    for name in OPTIONAL:
        value = given.get(name)
        if value is not None and not isinstance(_constant(value), str) and not isinstance(value, ast.Call):
            raise _Unclear(f"{line}: {name!r} is not written out")
    exports = given.get("exports")
    if exports is not None and not (
        isinstance(exports, ast.Dict)
        and all(isinstance(_constant(key), str) for key in exports.keys if key)
        and None not in exports.keys
    ):
        raise _Unclear(f"{line}: the keys of 'exports' are not written out")
    twins = given.get("twins")
    if twins is not None and not (
        isinstance(twins, ast.Dict) and all(key is not None and _constant(key) in TWINS for key in twins.keys)
    ):
        raise _Unclear(f"{line}: the keys of 'twins' are not written out")


def _distinct(dtypes: Sequence[str]) -> bool:
    return bool(dtypes) and len(set(dtypes)) == len(dtypes) and all(dtype in DEFAULTS for dtype in dtypes)


def _constant(node: ast.expr) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def _strings(node: ast.expr) -> Sequence[str] | None:
    """The strings of a literal tuple or list; None for anything else."""
    if not isinstance(node, (ast.Tuple, ast.List)):
        return None
    values = [_constant(element) for element in node.elts]
    return values if all(isinstance(value, str) for value in values) else None
