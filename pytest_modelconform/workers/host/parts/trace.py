"""A model as a list of calls on tensors that have names: what a case file of it is written from."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.fx.node import map_aggregate
from torch.utils._pytree import tree_leaves

from ..build import Built
from ..generate import is_dynamic
from .source import Line, Literals, Unwritable, Writer

INPUT, PARAMETER, BUFFER = KINDS = ("input", "parameter", "buffer")
# What a program checks of its own sizes.
_CHECKS = ("_assert", "sym_constrain", "_guards_fn")
# Recurrent operators, by the rows of their weights for each of hidden state.
_GATES = {"lstm.input": 4, "gru.input": 3, "rnn_tanh.input": 1, "rnn_relu.input": 1}
# What an operator calls its only operand, which says nothing.
_NAMELESS = ("self", "input", "x", "inp", "data")


@dataclass
class Trace:
    """A program on one input set, and its source.

    tensors: what it is called with, and its weights, by their names in the source: "x", "self.weight". kinds: of each,
    one of `KINDS`. literals: whole numbers in its calls. lines, returns: its source, and the names that it returns.
    calls: node, name in `tensors` or "", and arguments with `Literal`s. results: nodes of what it returns. varies: by
    input the axes that may vary, as one declares them; others: the inputs of another set.
    """

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    literals: Literals = field(default_factory=Literals)
    lines: list[Line] = field(default_factory=list)
    returns: list[str] = field(default_factory=list)
    calls: list[tuple[Node, str, Any]] = field(default_factory=list)
    results: list[Node] = field(default_factory=list)
    varies: dict[str, dict[int, str]] = field(default_factory=dict)
    others: dict[str, torch.Tensor] = field(default_factory=dict)

    def run(self, tensors: Mapping[str, torch.Tensor], literals: Sequence[int]) -> list[Any]:
        """What it returns for other tensors and numbers. Raises what its operators do."""
        numbers = Literals(literals)
        values: dict[Node, Any] = {}
        for node, name, arguments in self.calls:
            values[node] = tensors[name] if name else _called(node, numbers.put(arguments), values)
        return [values[node] for node in self.results]


def traced(built: Built, key: str, varying: bool = False) -> Trace:
    """A case's model on an input set. Raises Unwritable, and what its operators raise.

    varying: with the sizes that vary, on the exporters' set; the other one is then that of `others`.
    """
    if varying and not built.dynamic_shapes:
        raise Unwritable("no sizes that vary")
    other = iter(tree_leaves(built.clone_inputs(key))) if varying and key != built.exporter_set else None
    key = built.exporter_set if varying else key
    program = _program(built, key, built.dynamic_shapes if varying else None)
    given = iter(tree_leaves(built.clone_inputs(key)))
    values: dict[Node, Any] = {}
    found = Trace()
    writer = Writer(found.literals, values=values)

    def add(node: Node, wanted: str, kind: str, value: Any) -> None:
        if not isinstance(value, torch.Tensor):
            raise Unwritable(f"an input of type {type(value).__name__}" if kind == INPUT else "a loop or a branch")
        writer.name(node, wanted, "" if kind == INPUT else "self.")
        name = writer.names[node]
        # An operator may write to what it is called with.
        values[node] = value.detach().clone()
        found.tensors[name], found.kinds[name] = value.detach(), kind
        found.calls.append((node, name, None))

    for node in program.graph.nodes:
        value = next(given, None) if node.op == "placeholder" else None
        second = next(other) if node.op == "placeholder" and other is not None else None
        if node.op == "output":
            results = [n for n in tree_leaves(node.args) if isinstance(n, Node)]
            found.results = [n for n in results if isinstance(values[n], torch.Tensor)]
        elif _is_check(node) or (all(map(_is_check, node.users)) and not _writes(node)):
            continue
        elif node.op == "placeholder":
            add(node, _role(node, "x"), INPUT, value)
            if varying:
                found.varies[writer.names[node]] = _declared(built.dynamic_shapes, str(node.target))
            if isinstance(second, torch.Tensor):
                found.others[writer.names[node]] = second
        elif node.op == "get_attr":
            held = _attribute(program, str(node.target))
            kind = PARAMETER if isinstance(held, torch.nn.Parameter) else BUFFER
            add(node, _role(node, str(node.target).rpartition(".")[2]), kind, held)
        elif node.op == "call_function":
            arguments = (node.args, dict(node.kwargs))
            values[node] = _called(node, arguments, values)
            is_size = isinstance(values[node], int)
            # Which of several results it is, is no size; sizes of what varies are counted as they are.
            taken = arguments if node.target is operator.getitem or is_size else found.literals.take(arguments)
            found.calls.append((node, "", taken))
            if is_size:
                writer.inline(node)
            else:
                found.lines.append(writer.line(node, *taken))
        else:
            raise Unwritable(f"a call of the module {node.target}")
    found.returns = [writer.names[node] for node in found.results]
    found.tensors = {name: found.tensors[name] for name in _by_use(found.calls)}
    return found


def _by_use(calls: Sequence[tuple[Node, str, Any]]) -> list[str]:
    """The names of tensors in the order in which calls take them, as somebody would write forward's arguments."""
    names = {node: name for node, name, _ in calls if name}
    found: dict[str, None] = {}

    def use(leaf: Any) -> Any:
        if leaf in names:
            found.setdefault(names[leaf])
        return leaf

    for _, _, arguments in calls:
        map_aggregate(arguments, lambda leaf: use(leaf) if isinstance(leaf, Node) else leaf)
    return [*found, *(name for name in names.values() if name not in found)]


def _program(built: Built, key: str, dynamic_shapes: Any) -> GraphModule:
    """A model's program on an input set. Sizes are numbers in it unless they vary. Raises Unwritable."""
    args, kwargs = built.clone_inputs(key)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                built.model, args, kwargs, dynamic_shapes=dynamic_shapes, strict=False
            ).module()
    except Exception as error:
        if isinstance(built.model, GraphModule):
            return built.model
        raise Unwritable(f"a model that torch.export can't read ({type(error).__name__})") from error
    assert isinstance(program, GraphModule)
    return program


def _declared(spec: Any, argument: str) -> dict[int, str]:
    """The axes of an argument that vary, as `dynamic_shapes` has them, each as Python. Raises Unwritable."""
    entry = spec.get(argument) if isinstance(spec, Mapping) else None
    if not isinstance(entry, Mapping):
        if entry or not isinstance(spec, Mapping):
            raise Unwritable("sizes that vary in tensors within tuples or dicts")
        return {}
    return {int(axis): _dimension(dim) for axis, dim in entry.items() if is_dynamic(dim)}


def _dimension(dim: Any) -> str:
    name = getattr(dim, "__name__", "")
    if not isinstance(dim, type) and not name.isidentifier():
        return "torch.export.Dim.AUTO"
    bounds = [f", {bound}={getattr(dim, bound)}" for bound in ("min", "max") if type(getattr(dim, bound, None)) is int]
    bounds = [bound for bound in bounds if bound != ", min=0"]
    return f'torch.export.Dim("{name}"{"".join(bounds)})' if bounds else f'"{name}"'


def _called(node: Node, arguments: Any, values: Mapping[Node, Any]) -> Any:
    args, kwargs = map_aggregate(arguments, lambda leaf: values[leaf] if isinstance(leaf, Node) else leaf)
    assert callable(node.target)
    if _name(node) in _GATES:
        _require_sizes(args, _GATES[_name(node)])
    with torch.no_grad():
        return node.target(*args, **kwargs)


def _require_sizes(args: Sequence[Any], gates: int) -> None:
    """Raises ValueError where a recurrent operator's weights don't fit: it would read past their ends (torch 2.14)."""
    given, state, weights = args[:3]
    states = list(state) if isinstance(state, (list, tuple)) else [state]
    hidden, batch = states[0].shape[-1], given.shape[0 if args[-1] else 1]
    matrices = [weight for weight in weights if weight.dim() == 2]
    widths = {matrix.shape[1] for matrix in matrices[1:]}
    if (
        any(weight.shape[0] != gates * hidden for weight in weights)
        or any(tuple(state.shape[1:]) != (batch, hidden) for state in states)
        or matrices[0].shape[1] != given.shape[-1]
        or not widths <= {hidden, 2 * hidden, given.shape[-1]}
    ):
        raise ValueError("weights of other sizes")


def _name(node: Node) -> str:
    """What a node calls: "conv2d.default"."""
    return str(getattr(node.target, "__name__", node.target))


def _is_check(node: Node) -> bool:
    return node.op.startswith("call") and _name(node).startswith(_CHECKS)


def _writes(node: Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _role(node: Node, otherwise: str) -> str:
    """What the operator that takes a tensor calls it, where that says something."""
    user = next(user for user in node.users if not _is_check(user))
    if not isinstance(user.target, torch._ops.OpOverload):
        return otherwise
    arguments = user.target._schema.arguments
    named = [*zip((a.name for a in arguments), user.args, strict=False), *user.kwargs.items()]
    name = next((name for name, value in named if value is node), otherwise)
    return otherwise if name in _NAMELESS or (name == "other" and node.op == "get_attr") else name


def _attribute(module: torch.nn.Module, path: str) -> Any:
    value: Any = module
    for name in path.split("."):
        value = getattr(value, name)
    return value
