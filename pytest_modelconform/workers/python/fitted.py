"""A call's arguments in the containers that an exported program was called with.

On the wire a named tuple is a tuple, and an ordered dict, or an object of a registered class, is a dict.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils import _pytree

# A key of a mapping, an index of a sequence, or an attribute's name.
_KEYS = ("key", "idx", "name")


def fitting(call: Callable[..., Any], spec: Any) -> Callable[..., Any]:
    """A call whose arguments are put into the containers of a program's `in_spec`, that of (args, kwargs)."""
    if spec is None or all(kind in (tuple, list, dict, None) for kind in _kinds(spec)):
        return call

    def fits(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = fitted((args, kwargs), spec)
        return call(*args, **kwargs)

    return fits


def _kinds(spec: Any) -> Iterator[Any]:
    yield spec.type
    for child in spec.children():
        yield from _kinds(child)


def fitted(value: Any, spec: Any) -> Any:
    """The value in the containers of a pytree's spec: what was a mapping by its keys, a sequence by places.

    What doesn't fit stays as it is: the program itself says what is wrong with it.
    """
    if spec.is_leaf():
        return value
    node = _pytree.SUPPORTED_NODES[spec.type]
    parts = _parts(value, spec, node)
    if parts is None:
        return value
    children = [fitted(part, child) for part, child in zip(parts, spec.children(), strict=True)]
    return node.unflatten_fn(children, spec.context)


def _parts(value: Any, spec: Any, node: Any) -> list[Any] | None:
    """What the spec's children stand for in a value, in their order; None where it has others."""
    if isinstance(value, (list, tuple)):
        alike = spec.type is type(value) or (spec.type is namedtuple and isinstance(value, tuple))
        return list(value) if alike and len(value) == spec.num_children else None
    if not isinstance(value, dict) or spec.type in (list, tuple, namedtuple):
        return None
    keys = spec.context if spec.type is dict else _keys(value, spec, node)
    # Of an object's attributes those that are None are no children.
    others = [entry for key, entry in value.items() if key not in keys and (entry is not None or spec.type is dict)]
    return [value[key] for key in keys] if not others and all(key in value for key in keys) else None


def _keys(value: dict[Any, Any], spec: Any, node: Any) -> list[Any]:
    """The keys or names of a node's children. Only an object of the class tells them: one is made of the values."""
    filled = list(value.values())
    if len(filled) != spec.num_children:
        filled = [entry for entry in filled if entry is not None]
    filled = [*filled, *[None] * spec.num_children][: spec.num_children]
    try:
        named, _ = node.flatten_with_keys_fn(node.unflatten_fn(filled, spec.context))
        return [next(getattr(key, field) for field in _KEYS if hasattr(key, field)) for key, _ in named]
    except Exception:  # Whatever the class makes of them, or of values in another order.
        return list(value)
