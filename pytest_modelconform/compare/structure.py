"""Compare output trees (TREE in docs/architecture.md) in words; only what holds a tensor or a value counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Tree = Mapping[str, Any]

_NOTHING: Tree = {"none": True}


def flatten(tree: Tree) -> tuple[Tree, dict[str, str]]:
    """Split a tree into its skeleton and its tensors: leaf path -> key of the tensor.

    Paths are written as in Python: "" for a bare tensor, "[0]", "[0]['boxes']". The skeleton is a tree in which
    tuples are lists, keys are sorted, tensors have their path as key, empty containers are None, and None is left out
    where that moves nothing; two structures are equal exactly if their skeletons are. It survives JSON.

    Raises ValueError for what isn't a tree.
    """
    leaves: dict[str, str] = {}
    return _normalise(tree, "", leaves), leaves


def compare_structure(expected: Tree, actual: Tree) -> list[str]:
    """Say in words how `actual` differs from what the model returns; an empty list if it doesn't."""
    expected, expected_leaves = flatten(expected)
    actual, actual_leaves = flatten(actual)
    if expected == actual:
        return []
    messages: list[str] = []
    elsewhere: list[str] = []  # paths under which the kind differs already, so that their leaves are no news
    _compare(expected, actual, "", messages, elsewhere)
    known = tuple(elsewhere)
    return messages + compare_leaves(
        [path for path in expected_leaves if not path.startswith(known)],
        [path for path in actual_leaves if not path.startswith(known)],
    )


def compare_leaves(expected: Iterable[str], actual: Iterable[str]) -> list[str]:
    """Do the same for leaf paths alone, which is what a flat runtime has."""
    expected, actual = list(expected), list(actual)
    twice = sorted({path for path in actual if actual.count(path) > 1}) if len(set(actual)) < len(actual) else []
    missing = [path for path in expected if path not in set(actual)]
    extra = [path for path in dict.fromkeys(actual) if path not in set(expected)]
    faults = [f"{_list(missing)} {_are(missing)} missing"] if missing else []
    faults += [f"{_list(extra)} {_are(extra)} not among the model's"] if extra else []
    faults += [f"{_list(twice)} {'comes' if len(twice) == 1 else 'come'} twice"] if twice else []
    if not faults:
        return []
    if len(actual) == len(expected):
        return [f"returns {_tensors(len(actual))}, as the model does, but " + ", and ".join(faults)]
    return [f"returns {_tensors(len(actual))}, the model returns {len(expected)}: " + ", and ".join(faults)]


def _compare(expected: Tree, actual: Tree, path: str, messages: list[str], elsewhere: list[str]) -> None:
    kind, other = next(iter(expected)), next(iter(actual))
    if kind != other:
        messages.append(f"output{path} is {_describe(actual)}, the model returns {_describe(expected)}")
        elsewhere.append(path)
    elif kind in ("value", "float") and expected != actual:
        messages.append(f"output{path} is {_describe(actual)}, the model returns {_describe(expected)}")
    elif kind == "list":
        for position, (one, two) in enumerate(zip(expected["list"], actual["list"], strict=False)):
            if one != _NOTHING and two != _NOTHING:  # else its leaves are named as missing or not the model's
                _compare(one, two, f"{path}[{position}]", messages, elsewhere)
        _compare_values(expected["list"], actual["list"], path, messages)
    elif kind == "dict":
        found = dict(actual["dict"])
        if not found.keys() & dict(expected["dict"]).keys():
            messages.append(f"output{path} is {_describe(actual)}, the model returns {_describe(expected)}")
            elsewhere.append(path)
            return
        for key, one in expected["dict"]:
            if key in found:
                _compare(one, found[key], f"{path}[{key!r}]", messages, elsewhere)
        wanted = dict(expected["dict"])
        for key in sorted(wanted.keys() ^ found.keys(), key=repr):
            _compare_value(wanted.get(key, _NOTHING), found.get(key, _NOTHING), f"{path}[{key!r}]", messages)


def _compare_values(expected: list[Tree], actual: list[Tree], path: str, messages: list[str]) -> None:
    length = max(len(expected), len(actual))
    for position in range(length):
        one = expected[position] if position < len(expected) else _NOTHING
        two = actual[position] if position < len(actual) else _NOTHING
        if (one == _NOTHING) != (two == _NOTHING):
            _compare_value(one, two, f"{path}[{position}]", messages)


def _compare_value(expected: Tree, actual: Tree, path: str, messages: list[str]) -> None:
    """One of the two is nothing. What holds tensors is left to the leaves; what holds only values is said here."""
    if not flatten(expected)[1] and not flatten(actual)[1]:
        messages.append(f"output{path} is {_describe(actual)}, the model returns {_describe(expected)}")


def _normalise(tree: Tree, path: str, leaves: dict[str, str]) -> Tree:
    kind = next(iter(tree)) if isinstance(tree, Mapping) and len(tree) == 1 else None
    if kind == "tensor":
        leaves[path] = tree["tensor"]
        return {"tensor": path}
    if kind in ("list", "tuple"):
        items = [_normalise(item, f"{path}[{position}]", leaves) for position, item in enumerate(tree[kind])]
        while items and items[-1] == _NOTHING:
            items.pop()
        return {"list": items} if items else _NOTHING
    if kind == "dict":
        content = {key: _normalise(item, f"{path}[{key!r}]", leaves) for key, item in tree["dict"]}
        if len(content) < len(tree["dict"]):
            raise ValueError(f"output{path} has a key twice: {[key for key, _ in tree['dict']]}")
        pairs = [[key, content[key]] for key in sorted(content, key=repr) if content[key] != _NOTHING]
        return {"dict": pairs} if pairs else _NOTHING
    if kind == "float":
        return {"float": float.fromhex(tree["float"]).hex()}
    if kind == "value":
        return {"value": tree["value"]}
    if kind == "none":
        return _NOTHING
    raise ValueError(f"output{path} isn't a tree: {tree!r:.200}")


def _describe(tree: Tree) -> str:
    kind, content = next(iter(tree.items()))
    if kind == "tensor":
        return "a tensor"
    if kind == "list":
        return f"a sequence of {len(content)}"
    if kind == "dict":
        return f"a dict with the {'key' if len(content) == 1 else 'keys'} {', '.join(repr(key) for key, _ in content)}"
    if kind == "value":
        return f"the value {content!r}"
    return f"the number {float.fromhex(content)!r}" if kind == "float" else "None"


def _tensors(count: int) -> str:
    return f"{count} tensor{'' if count == 1 else 's'}"


def _are(paths: list[str]) -> str:
    return "is" if len(paths) == 1 else "are"


def _list(paths: list[str]) -> str:
    names = [f"output{path}" for path in paths[:8]] + ([f"{len(paths) - 8} more"] if len(paths) > 8 else [])
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
