"""What the text of a Python file says of its values, without running it: constants, and fields shared by `**`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

Names = Mapping[str, ast.expr]
# How deep names may stand for names.
_DEEPEST = 20


def assigned(tree: ast.Module) -> Names:
    """The variables that a file assigns once, at top level, each with what it is assigned."""
    found: dict[str, ast.expr] = {}
    stored = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)]
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        pairs = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = list(zip(target.elts, value.elts, strict=False))
        found |= {t.id: v for t, v in pairs if isinstance(t, ast.Name) and stored.count(t.id) == 1}
    return found


def fields(call: ast.Call, names: Names) -> dict[str, ast.expr]:
    """The keyword arguments of a call; those of a `**` too, as far as the text tells them."""
    found: dict[str, ast.expr] = {}
    for keyword in call.keywords:
        found |= {keyword.arg: keyword.value} if keyword.arg else _entries(keyword.value, names)
    return found


def _entries(node: ast.expr, names: Names, depth: int = 0) -> dict[str, ast.expr]:
    """Of a dict that is written out, or called together, by its keys."""
    found: dict[str, ast.expr] = {}
    if depth > _DEEPEST:
        return found
    if isinstance(node, ast.Name) and node.id in names:
        return _entries(names[node.id], names, depth + 1)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return fields(node, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _entries(node.left, names, depth + 1) | _entries(node.right, names, depth + 1)
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                found |= _entries(value, names, depth + 1)
            elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                found[key.value] = value
    return found


def value_of(node: ast.expr, names: Names, depth: int = 0) -> Any:
    """The value of an expression of constants, names of such, and tuples of them. Raises ValueError for any other."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(node, ast.Name) and node.id in names:
        return value_of(names[node.id], names, depth + 1)
    if isinstance(node, (ast.Tuple, ast.List)):
        values: list[Any] = []
        for item in node.elts:
            if isinstance(item, ast.Starred):
                values += value_of(item.value, names, depth + 1)
            else:
                values.append(value_of(item, names, depth + 1))
        return tuple(values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = value_of(node.left, names, depth + 1), value_of(node.right, names, depth + 1)
        if isinstance(left, tuple) and isinstance(right, tuple):
            return left + right
        raise ValueError("not a sum of tuples")
    if isinstance(node, ast.Subscript):
        entries = _entries(node.value, names)
        key = ast.literal_eval(node.slice)
        if key not in entries:
            raise ValueError(f"no {key!r}")
        return value_of(entries[key], names, depth + 1)
    return ast.literal_eval(node)
