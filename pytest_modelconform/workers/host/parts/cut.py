"""Operators of a program as a model of their own."""

from __future__ import annotations

import copy
import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node
from torch.utils._pytree import tree_leaves

from . import graph
from .described import dependent

_AS_COMPLEX = torch.ops.aten.view_as_complex.default


@dataclass
class Cut:
    """A part of a program.

    module: takes the tensors of `inputs`, by position, and returns a tuple of tensors; of a part, complex ones are
    `pairs`. inputs: the nodes of the program that its inputs are. outputs: those that it returns. constants: sizes that
    are numbers here, by name. paired: those of the inputs that it takes as pairs.
    """

    module: GraphModule
    inputs: list[Node]
    outputs: list[Node]
    constants: dict[str, Any] = field(default_factory=dict)
    paired: frozenset[Node] = frozenset()


class NotAPart(Exception):
    """These operators are no model of their own. The message says why."""


def cut(
    program: GraphModule,
    values: Mapping[Node, Any],
    kept: Collection[str],
    outputs: Sequence[str],
    fixed: Collection[str] = (),
) -> Cut:
    """The operators named `kept` (all where empty), as far as the outputs need them. Raises NotAPart.

    values: what each node is for the exporters' input set. What is not kept and needed becomes an input. What depends
    on no input stays inside, unless it is all that is kept: weights are inputs then. fixed: operators that depend on no
    input whose results become constants.

    Inside of a program complex numbers are the exporter's affair, and formats without them have pairs. As inputs and
    outputs of a part they would make any operator wrong there.
    """
    by_name = {node.name: node for node in program.graph.nodes}
    if unknown := [name for name in (*kept, *outputs) if name not in by_name]:
        raise NotAPart(f"the program has no operator {unknown[0]!r}")
    depends = dependent(program)
    inside = {by_name[name] for name in kept} or {node for node in program.graph.nodes if graph.is_operator(node)}
    inside |= {node for node in program.graph.nodes if graph.is_operator(node) and node not in depends}
    inside -= {by_name[name] for name in fixed}
    returned = [result for name in outputs for result in graph.results(by_name[name])]
    if not outputs:
        returned = _needed_outside(program, inside)
    constant = bool(kept) and not any(by_name[name] in depends for name in kept)
    if constant:
        # What is made of weights alone: they are its inputs, or it would be folded before anything runs.
        inside = {by_name[name] for name in kept}
    returned = [node for node in dict.fromkeys(returned) if constant or node in depends]
    if not returned:
        raise NotAPart("it returns nothing that depends on its inputs")
    taken, copied, sizes = _needed(returned, inside, constant)
    order = list(program.graph.nodes)
    buffers = {node for node in taken if graph.operator_of(node).name in fixed}
    inputs = [node for node in order if node in taken and node not in buffers]
    if not inputs:
        raise NotAPart("it takes no tensor")
    new = Graph()
    made: dict[Node, Any] = {}
    for node in inputs:
        given = new.placeholder(node.name)
        made[node] = new.call_function(_AS_COMPLEX, (given,)) if graph.is_complex(node) else given
        made[node].meta = dict(node.meta)
    for node in [node for node in order if node in buffers]:
        # Where the part's module looks for what it refers to; the program itself doesn't.
        program.register_buffer(f"fixed_{node.name}", values[node])
        made[node] = new.get_attr(f"fixed_{node.name}")
    constants: dict[str, Any] = {}
    # Sizes that are not computed inside, of what is an input.
    for size in [node for node in order if node in sizes]:
        made[size] = _size(size, inputs, new, made, values, constants)
    for node in [node for node in order if node in copied]:
        made[node] = new.node_copy(node, lambda each: made[each])
        made[node].meta = dict(node.meta)
    new.output(tuple(_in_reals(new, node, made[node]) for node in returned))
    new.lint()
    module = GraphModule(program, new)
    # Weights are the part's own: exporters and runs may write to them.
    paired = frozenset(node for node in inputs if graph.is_complex(node))
    return Cut(copy.deepcopy(module), inputs, returned, constants, paired)


def pairs(tensor: torch.Tensor) -> torch.Tensor:
    """complex[…] as float[…, 2], real and imaginary part."""
    return torch.view_as_real(tensor.resolve_conj())


def _in_reals(new: Graph, node: Node, made: Node) -> Node:
    """What a part returns for a node of the program: as `pairs`."""
    if not graph.is_complex(node):
        return made
    if node.meta["val"].is_conj():
        made = new.call_function(torch.ops.aten.resolve_conj.default, (made,))
    return new.call_function(torch.ops.aten.view_as_real.default, (made,))


def flat(program: GraphModule) -> Cut:
    """The whole program as it is, of tensors alone. Raises NotAPart."""
    output = next(node for node in reversed(program.graph.nodes) if node.op == "output")
    returned = [leaf for leaf in tree_leaves(output.args[0]) if isinstance(leaf, Node) and graph.is_tensor(leaf)]
    inputs = [node for node in graph.placeholders(program) if graph.is_tensor(node) and node.users]
    if not returned or not inputs:
        raise NotAPart("the model takes no tensor that it uses, or returns none")
    new = Graph()
    made: dict[Node, Any] = {node: new.placeholder(node.name) for node in inputs}
    for node in program.graph.nodes:
        if node.op not in ("placeholder", "output"):
            made[node] = new.node_copy(node, lambda each: made[each])
    new.output(tuple(made[node] for node in returned))
    new.lint()
    return Cut(copy.deepcopy(GraphModule(program, new)), inputs, returned)


def _needed_outside(program: GraphModule, inside: set[Node]) -> list[Node]:
    """What is used by the program's output, or by an operator that is left out."""
    found = []
    for node in program.graph.nodes:
        if graph.is_tensor(node) and graph.operator_of(node) in inside:
            users = [user for user in node.users if user.target is not operator.getitem]
            if any(user.op == "output" or (graph.is_operator(user) and user not in inside) for user in users):
                found.append(node)
    return found


def _needed(returned: Sequence[Node], inside: set[Node], constant: bool) -> tuple[set[Node], set[Node], set[Node]]:
    """What has to be an input, what is copied, and sizes that can't be computed from what is inside."""
    taken: set[Node] = set()
    copied: set[Node] = set()
    sizes: set[Node] = set()

    def is_inside(node: Node) -> bool:
        return graph.operator_of(node) in inside

    def visit(start: Node) -> None:
        waiting = [start]
        while waiting:
            node = waiting.pop()
            if node in copied or node in taken or node in sizes:
                continue
            if node.op == "placeholder" or (constant and node.op == "get_attr"):
                taken.add(node)
            elif node.op == "get_attr" or is_inside(node):
                copied.add(node)
                waiting += node.all_input_nodes
            elif isinstance(node.meta.get("val"), torch.Tensor):
                taken.add(node)
            elif _from_inside(node, inside):
                copied.add(node)
                waiting += node.all_input_nodes
            else:
                sizes.add(node)

    for node in returned:
        visit(node)
    return taken, copied, sizes


def _from_inside(node: Node, inside: set[Node]) -> bool:
    """Whether a size comes from tensors that are inside, or from the program's inputs where all is inside of it."""
    waiting, seen = [node], set()
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        for source in each.all_input_nodes:
            if isinstance(source.meta.get("val"), torch.Tensor):
                if source.op == "placeholder" and not _reaches(inside, source):
                    return False
                if source.op != "placeholder" and graph.operator_of(source) not in inside:
                    return False
            else:
                waiting.append(source)
    return True


def _reaches(inside: set[Node], source: Node) -> bool:
    """Whether an operator inside takes an input of the program."""
    return any(user in inside for user in source.users)


def _size(
    node: Node,
    inputs: Sequence[Node],
    new: Graph,
    made: dict[Node, Any],
    values: Mapping[Node, Any],
    constants: dict[str, Any],
) -> Any:
    """A size as that of an input that has it, else as it is computed of other sizes, else as a number."""
    if node in made:
        return made[node]
    symbol = getattr(getattr(node.meta.get("val"), "node", None), "expr", None)
    for source in inputs if symbol is not None and not getattr(symbol, "is_number", True) else ():
        for axis, length in enumerate(source.meta["val"].shape):
            if getattr(getattr(length, "node", None), "expr", None) == symbol:
                size = new.call_function(torch.ops.aten.sym_size.int, (made[source], axis))
                size.meta = dict(node.meta)
                return size
    operands = node.all_input_nodes
    if operands and not any(isinstance(each.meta.get("val"), torch.Tensor) for each in operands):
        for each in operands:
            made[each] = _size(each, inputs, new, made, values, constants)
        size = new.node_copy(node, lambda each: made[each])
        size.meta = dict(node.meta)
        return size
    value = values.get(node)
    if not isinstance(value, (bool, int, float)):
        raise NotAPart(f"it needs {node.name}, which is no tensor")
    if symbol is not None and not getattr(symbol, "is_number", True):
        constants[node.name] = value
    return value
