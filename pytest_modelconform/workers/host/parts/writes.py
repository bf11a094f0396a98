"""Operators that write to their operands, written as operators that return what was written."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.fx import GraphModule, Node

# Views that hold what they are a view of, in another shape.
_RESHAPED = ("view", "reshape", "flatten", "unsqueeze", "squeeze", "unflatten", "_unsafe_view", "view_as", "t")
# What may return its very operand.
_SAME = ("detach", "alias", "to", "contiguous", "dropout", "lift_fresh", "_to_copy", "type_as", "dropout_", "detach_")


class NotWritten(Exception):
    """An operator that can't be written otherwise."""


def writes(node: Node) -> bool:
    """Whether an operator writes to an operand."""
    schema = getattr(node.target, "_schema", None)
    return node.op == "call_function" and schema is not None and schema.is_mutable


def without_writes(module: GraphModule, memory: Mapping[Node, int]) -> None:
    """Change a program in place so that nothing writes. Raises NotWritten, and leaves it half changed then.

    memory: where each tensor lies as the program runs; none for empty ones. A value has several names where it is a
    view of another one: each that is used after a write is made anew from what was written.
    """
    shared = dict(memory)
    roots: set[Node] = set()
    for node in [node for node in module.graph.nodes if writes(node)]:
        _written(module, node, shared, roots)
    module.graph.lint()


def _written(module: GraphModule, node: Node, memory: dict[Node, int], roots: set[Node]) -> None:
    target: Any = node.target
    operands = [node.args[i] for i, a in enumerate(target._schema.arguments) if a.alias_info and a.alias_info.is_write]
    other = _returning(target)
    if other is None or len(operands) != 1 or not isinstance(operands[0], Node):
        raise NotWritten(str(target))
    node.target = other
    if _packet(node) == "detach":
        return
    view = operands[0]
    places = {each: i for i, each in enumerate(module.graph.nodes)}
    aliases = [each for each in places if each in memory and memory[each] == memory.get(view) and each is not node]
    later = [
        each
        for each in aliases
        if places[each] < places[node] and any(places[user] > places[node] for user in each.users)
    ]
    updated = _updated(module, node, view, aliases, later, roots)
    places = {each: i for i, each in enumerate(module.graph.nodes)}
    last = max(places[each] for each in updated.values())
    for old, new in updated.items():
        memory[new] = memory.get(view, id(node))
        for user in list(old.users):
            if places[user] > last:
                user.replace_input_with(old, new)


def _updated(
    module: GraphModule, node: Node, view: Node, aliases: list[Node], later: list[Node], roots: set[Node]
) -> dict[Node, Node]:
    """What is used later, by what it is after the write."""
    known = set(aliases)
    if set(later) <= {view}:
        roots.add(node)
        return {view: node}
    after = node

    def insert(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], like: Node) -> Node:
        nonlocal after
        with module.graph.inserting_after(after):
            after = module.graph.call_function(function, args, dict(kwargs))
        after.meta = {**node.meta, "val": like.meta.get("val")}
        return after

    root, value = view, node
    while (above := _viewed(root, known, roots)) is not None:
        value = _scattered(root, above, value, insert)
        root = above
    # All others are made anew from it, the one that was written, too: it may be written again.
    updated = {root: value}
    roots.add(value)
    for each in later:
        _again(each, known, roots, updated, insert)
    return updated


def _again(
    node: Node, known: set[Node], roots: set[Node], updated: dict[Node, Node], insert: Callable[..., Node]
) -> Node:
    """A view that is used later, of what is there by then."""
    if node not in updated:
        above = _viewed(node, known, roots)
        if above is None:
            raise NotWritten(f"{node.name} shares its memory")
        source = _again(above, known, roots, updated, insert)
        args = tuple(source if each is above else each for each in node.args)
        updated[node] = insert(node.target, args, node.kwargs, node)
    return updated[node]


def _viewed(node: Node, known: set[Node], roots: set[Node]) -> Node | None:
    """What a node is a view of; None where it was written in the place of one."""
    if node in roots or node.op != "call_function" or not node.args:
        return None
    first = node.args[0]
    return first if isinstance(first, Node) and first in known else None


def _scattered(view: Node, above: Node, new: Node, insert: Callable[..., Node]) -> Node:
    """What a tensor is after a view of it has become `new`."""
    name, aten = _packet(view), torch.ops.aten
    rest = view.args[1:]
    if name == "slice":
        return insert(aten.slice_scatter.default, (above, new, *rest), view.kwargs, above)
    if name == "select":
        return insert(aten.select_scatter.default, (above, new, *rest), view.kwargs, above)
    if name == "transpose":
        return insert(aten.transpose.int, (new, *rest), view.kwargs, above)
    if name == "permute":
        order: Any = rest[0]
        back = [sorted(range(len(order)), key=lambda i: order[i] % len(order))][0]
        return insert(aten.permute.default, (new, back), {}, above)
    if name == "t":
        return insert(aten.t.default, (new,), {}, above)
    if name in _RESHAPED:
        return insert(aten.view_as.default, (new, above), {}, above)
    if name in _SAME:
        return new
    raise NotWritten(f"{view.name} is a view of {above.name}")


def _packet(node: Node) -> str:
    packet = getattr(node.target, "overloadpacket", None)
    return str(getattr(packet, "__name__", "")) if node.target is not operator.getitem else "getitem"


def _returning(target: Any) -> Any:
    """The operator that returns what this one writes: `aten.relu` for `aten.relu_`; None where there is none."""
    name = target._schema.name.partition("::")[2]
    packet = getattr(getattr(torch.ops, target.namespace), name.removesuffix("_"), None) if name[-1] == "_" else None
    overload = getattr(packet, target._overloadname, None)
    if overload is None or overload._schema.is_mutable:
        return None
    same = [str(a.type) for a in overload._schema.arguments] == [str(a.type) for a in target._schema.arguments]
    return overload if same else None
