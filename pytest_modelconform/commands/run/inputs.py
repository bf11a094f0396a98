"""What `modelconform run` feeds an artifact: tensors of a file, or ones, by the artifact's signature."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...compare import Tree
from ...terms.signature import Input, Signature
from ...terms.wording import Refused
from ...workers import arrays
from ...workers.arrays import Array
from ...workers.tensors import DTYPES, TensorFileError

_SHAPE = re.compile(r"(?:(\d+(?:,\d+)*)?)(?::([a-z0-9_]+))?")
KINDS = (".safetensors", ".npz", ".npy")


@dataclass(frozen=True)
class Wanted:
    """A tensor to make up: all ones, or random. dtype: "" for what the artifact declares, or float32."""

    kind: str
    shape: tuple[int, ...]
    dtype: str

    def made(self, declared: str) -> Array:
        """The tensor. Random ones are the same each time. declared: the dtype, unless one was given."""
        dtype = arrays.numpy_dtype(self.dtype or declared)
        if self.kind == "ones":
            return np.ones(self.shape, dtype)
        draw = np.random.default_rng(0)
        # Integers mostly index something: small ones.
        whole = dtype.kind in "iub"
        return (draw.integers(0, 2, self.shape) if whole else draw.standard_normal(self.shape)).astype(dtype)


def parse(kind: str, text: str) -> Wanted:
    """`1,3,224,224:float32`; the dtype may be left out, and `:int64` is a scalar. Raises Refused."""
    found = _SHAPE.fullmatch(text)
    if found is None or not text:
        raise Refused(f"--{kind} {text}: a shape such as 1,3,224,224 was expected, or with a dtype 1,8:int64.")
    shape, dtype = found.groups()
    if dtype and dtype not in DTYPES:
        raise Refused(f"--{kind} {text}: unknown dtype {dtype!r}. Known dtypes: {', '.join(DTYPES)}")
    return Wanted(kind, tuple(int(word) for word in shape.split(",")) if shape else (), dtype or "")


def read(path: Path) -> dict[str, Array]:
    """The tensors of a file by name, in its order. Raises Refused."""
    if path.suffix not in KINDS:
        raise Refused(f"--inputs {path}: a {', '.join(KINDS[:-1])} or {KINDS[-1]} file was expected.")
    try:
        if path.suffix == ".safetensors":
            return arrays.read(path)
        loaded: Any = np.load(path, allow_pickle=False)
        return dict(loaded) if path.suffix == ".npz" else {path.stem: loaded}
    except (OSError, ValueError, TensorFileError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise Refused(f"--inputs {path}: the file can't be read: {why}") from error


@dataclass(frozen=True)
class Call:
    """Tensors by path, and what a `run` request says of them."""

    tensors: Mapping[str, Array]
    request: Mapping[str, Any]


def call(signature: Signature, given: Mapping[str, Array] | Sequence[Wanted]) -> Call:
    """How an artifact is called with tensors from a file, or with made ones. Raises Refused where these don't fit.

    Tensors go by the artifact's names or paths where they have these, else in order.
    """
    declared = list(signature.inputs or ())
    paths = sorted([*(value.path for value in declared), *signature.dropped], key=_order)
    known = signature.layout == "flat" or bool(signature.inputs)
    if known and len(given) != len(paths):
        takes = ", ".join(_said(value) for value in declared)
        inputs = "1 input" if len(paths) == 1 else f"{len(paths) or 'no'} inputs"
        listed = f" ({takes})" if takes else ""
        given_ones = "1 was" if len(given) == 1 else f"{len(given)} were"
        raise Refused(f"{signature.file} takes {inputs}{listed}, and {given_ones} given.")
    if isinstance(given, Mapping):
        names = {value.name or value.path: value.path for value in declared}
        if set(given) == set(names):
            tensors = {names[name]: array for name, array in given.items()}
        elif all(name.startswith(("/args/", "/kwargs/")) for name in given) and (not known or set(given) == set(paths)):
            tensors = dict(given)
        else:
            tensors = dict(zip(paths or _positions(len(given)), given.values(), strict=True))
    else:
        dtypes = {value.path: value.dtype for value in declared}
        places = paths or _positions(len(given))
        tensors = {path: wanted.made(dtypes.get(path, "float32")) for path, wanted in zip(places, given, strict=True)}
    tree = _tree(tensors)
    request = {"args": tree.get("args", {"list": []})["list"], "kwargs": tree.get("kwargs", {"dict": []})["dict"]}
    if signature.layout == "flat":
        request["feeds"] = [[value.name, value.path] for value in declared]
        request["fetches"] = [value.name for value in signature.outputs]
    return Call(tensors, request)


def _positions(count: int) -> list[str]:
    return [f"/args/{place}" for place in range(count)]


def _order(path: str) -> tuple[Any, ...]:
    """Arguments by place come first, and the tenth after the ninth."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in path.split("/"))


def _said(value: Input) -> str:
    return f"{value.name or value.path}: {value.dtype} ({', '.join(map(str, value.shape))})"


def _tree(tensors: Mapping[str, Array]) -> dict[str, Any]:
    """`args` and `kwargs` as trees, from paths such as /args/0 and /kwargs/state/1: numbers are places in lists."""
    nested: dict[str, Any] = {}
    for path in sorted(tensors, key=_order):
        *way, last = path.strip("/").split("/")
        inner = nested
        for part in way:
            inner = inner.setdefault(part, {})
        inner[last] = path
    return {top: _branch(entries, as_list=top == "args") for top, entries in nested.items()}


def _branch(entries: Any, as_list: bool | None = None) -> Tree:
    if isinstance(entries, str):
        return {"tensor": entries}
    if as_list is None:
        as_list = all(name.isdecimal() for name in entries)
    if as_list:
        return {"list": [_branch(entry) for entry in entries.values()]}
    return {"dict": [[name, _branch(entry)] for name, entry in entries.items()]}
