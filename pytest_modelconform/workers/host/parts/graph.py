"""A model's exported program as a graph whose operators write to nothing."""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_flatten, tree_leaves

from pytest_modelconform.terms.case import TORCH

from ..build import Built
from ..clones import clone, copied
from ..state import seed_all
from .stopped import where
from .writes import NotWritten, without_writes, writes


class NoProgram(Exception):
    """The model's program can't be had. The message says why, in a line. stopped: as in terms/program.py."""

    def __init__(self, message: str, stopped: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.stopped = stopped


def exported(built: Built) -> tuple[GraphModule, Any]:
    """The case's model as `torch.export` captures it, weights and all, called as the model is; and as it gives it.

    Parameters and buffers are copies. Raises NoProgram.
    """
    if built.case.framework != TORCH:
        raise NoProgram(f"the model is written in {built.case.framework}: only one in PyTorch can be taken apart")
    args, kwargs = built.clone_inputs()
    given = built.options.get("torch.export.export", {})
    seed_all(built.case.seed, built.name, "export")
    try:
        with torch.no_grad():
            # A copy: tracing may leave what it traced with in the model's attributes.
            model = copied(built.model)
            program = torch.export.export(model, args, kwargs, dynamic_shapes=built.dynamic_shapes, **given)
            module = program.module(check_guards=False)
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        said = f"torch.export can't capture the model: {type(error).__name__}: {first}"
        raise NoProgram(said, where(error, model)) from error
    _without_checks(module)
    return module, program


def functional(module: GraphModule, program: Any, built: Built) -> GraphModule:
    """The program without operators that write to their operands. Raises NoProgram where there is none.

    A value has then one name, so that the program can be cut anywhere. What can't be rewritten here is left to PyTorch,
    which splits some operators.
    """
    if not any(map(writes, module.graph.nodes)):
        return module
    made = copy.deepcopy(module)
    if _rewritten(made, built) and _same(module, made, built):
        return made
    try:
        with torch.no_grad():
            made = copy.deepcopy(program.run_decompositions({}).module(check_guards=False))
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        raise NoProgram(f"the model writes to tensors in place, and can't be written otherwise: {first}") from error
    _without_checks(made)
    if not _same(module, made, built):
        raise NoProgram("the model writes to tensors in place, and gives other numbers where it is written otherwise")
    return made


def call(module: GraphModule, inputs: tuple[Any, Any]) -> dict[Node, Any]:
    """What each node of a program has for a call's inputs, as it was when it was made. Tensors are copies."""
    found: dict[str, Any] = {}

    class Recording(torch.fx.Interpreter):
        def run_node(self, n: Node) -> Any:
            result = super().run_node(n)
            if n.op != "get_attr":
                found[n.name] = clone(result) if isinstance(result, (torch.Tensor, list, tuple)) else result
            return result

    with torch.no_grad():
        # A copy: in training mode, operators write to buffers.
        made = Recording(copy.deepcopy(module), garbage_collect_values=False)
        made.run(*tree_leaves(inputs), enable_io_processing=False)
    weights = torch.fx.Interpreter(module)
    return {
        node: weights.fetch_attr(str(node.target)) if node.op == "get_attr" else found[node.name]
        for node in module.graph.nodes
    }


def is_tensor(node: Node) -> bool:
    """Whether a node is one tensor."""
    return isinstance(node.meta.get("val"), torch.Tensor)


def is_complex(node: Node) -> bool:
    """Whether a node is one tensor of complex numbers."""
    return is_tensor(node) and bool(node.meta["val"].is_complex())


def is_operator(node: Node) -> bool:
    """Whether a node is an operator that returns tensors, rather than a part of another's result, or a size."""
    if node.op != "call_function" or node.target is operator.getitem:
        return False
    value = node.meta.get("val")
    return any(isinstance(leaf, torch.Tensor) for leaf in tree_leaves(value))


def operator_of(node: Node) -> Node:
    """The operator that a node is a result of; the node itself where it is no part of a result."""
    while node.op == "call_function" and node.target is operator.getitem and isinstance(node.args[0], Node):
        node = node.args[0]
    return node


def results(node: Node) -> list[Node]:
    """The tensors that an operator returns and somebody uses, in order; the first one where nobody uses any."""
    if is_tensor(node):
        return [node]
    parts = [each for user in node.users for each in _parts(user) if is_tensor(each)]
    used = [part for part in parts if part.users]
    return used or parts[:1]


def _parts(node: Node) -> Iterator[Node]:
    if node.op == "call_function" and node.target is operator.getitem:
        if is_tensor(node):
            yield node
        else:
            for user in node.users:
                yield from _parts(user)


def placeholders(module: GraphModule) -> list[Node]:
    """The inputs, as many as the leaves of a call."""
    return [node for node in module.graph.nodes if node.op == "placeholder"]


def structure(inputs: tuple[Any, Any]) -> tuple[object, list[type]]:
    """What two calls have in common if one program takes both."""
    leaves, spec = tree_flatten(inputs)
    return spec, [torch.Tensor if isinstance(leaf, torch.Tensor) else type(leaf) for leaf in leaves]


def _without_checks(module: GraphModule) -> None:
    """Take out what only checks sizes: it returns nothing."""
    for node in reversed(module.graph.nodes):
        is_check = node.op == "call_module" and str(node.target) == "_guards_fn"
        name = str(node.target)
        is_check = is_check or (node.op == "call_function" and ("_assert" in name or "sym_constrain" in name))
        if is_check and not node.users:
            module.graph.erase_node(node)
    _prune(module)
    module.recompile()


def _prune(module: GraphModule) -> None:
    """Take out what nobody uses; what writes to something stays."""
    for node in reversed(module.graph.nodes):
        if node.op in ("call_function", "get_attr") and not node.users and not writes(node):
            module.graph.erase_node(node)


def _rewritten(module: GraphModule, built: Built) -> bool:
    """Put what returns its result in the place of what writes it; whether all could be."""
    try:
        without_writes(module, _memory(module, built))
    except NotWritten:
        return False
    _prune(module)
    module.recompile()
    return True


def _memory(module: GraphModule, built: Built) -> dict[Node, int]:
    """The memory that each tensor of the program lies in, as one run has it."""
    found: dict[Node, int] = {}
    kept: list[Any] = []

    class Looking(torch.fx.Interpreter):
        def run_node(self, n: Node) -> Any:
            result = super().run_node(n)
            kept.append(result)
            if isinstance(result, torch.Tensor) and result.numel():
                found[n] = result.untyped_storage().data_ptr()
            return result

    with torch.no_grad():
        leaves = tree_leaves(built.clone_inputs())
        Looking(copy.deepcopy(module), garbage_collect_values=False).run(*leaves, enable_io_processing=False)
    by_name = {node.name: memory for node, memory in found.items()}
    return {node: by_name[node.name] for node in module.graph.nodes if node.name in by_name}


def _same(one: GraphModule, two: GraphModule, built: Built) -> bool:
    """Whether two programs return the same bits."""
    outputs = []
    for module in (one, two):
        seed_all(built.case.seed, built.name, built.exporter_set, "run")
        args, kwargs = built.clone_inputs()
        with torch.no_grad():
            outputs.append(tree_leaves(copy.deepcopy(module)(*args, **kwargs)))
    return len(outputs[0]) == len(outputs[1]) and all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) and not a.is_floating_point() else _equal(a, b)
        for a, b in zip(*outputs, strict=True)
    )


def _equal(one: Any, two: Any) -> bool:
    if not isinstance(one, torch.Tensor) or not isinstance(two, torch.Tensor):
        return bool(one == two)
    return one.shape == two.shape and one.dtype == two.dtype and torch.equal(one.nan_to_num(), two.nan_to_num())
