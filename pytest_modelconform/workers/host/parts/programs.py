"""The programs that this process has taken apart: the last one is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_flatten_with_path, tree_leaves

from ..build import Built, build
from ..forward import signature
from ..state import seed_all
from . import graph
from .described import described

Wanted = tuple[str, str, str, str]


@dataclass
class Taken:
    """A case's model as a program.

    built: the case. whole: the program as it was captured; module: the same without operators that write to their
    operands, which is what is cut.
    """

    built: Built
    whole: GraphModule
    module: GraphModule
    _values: dict[str, dict[Node, Any]] = field(default_factory=dict)

    def values(self, key: str) -> dict[Node, Any]:
        """What each node of `module` is for an input set, as eager computes it. Those of one set are kept."""
        if key not in self._values:
            self._values = {key: self._ran(key)}
        return self._values[key]

    def sets(self) -> list[str]:
        """The input sets that the program takes: those that are called as the exporters' one is."""
        like = graph.structure(self.built.inputs[self.built.exporter_set])
        return [key for key, inputs in self.built.inputs.items() if graph.structure(inputs) == like]

    def inputs(self, key: str, nodes: Sequence[Node]) -> dict[Node, Any]:
        """The leaves of a call by the program's inputs, of which some are given."""
        return self._by_node(nodes, tree_leaves(self.built.clone_inputs(key)))

    def shapes(self, nodes: Sequence[Node]) -> dict[Node, Any]:
        """What the case's `dynamic_shapes` say of each of the program's inputs."""
        built = self.built
        parameters = list(signature(built.model).parameters)
        found = []
        args, kwargs = built.inputs[built.exporter_set]
        for path, leaf in tree_flatten_with_path((args, kwargs))[0]:
            kind, first, *rest = [getattr(key, "key", getattr(key, "idx", None)) for key in path]
            spec = built.dynamic_shapes
            name = parameters[first] if kind == 0 and first < len(parameters) else first
            if isinstance(spec, dict):
                spec = spec.get(name)
            elif isinstance(spec, (list, tuple)):
                position = parameters.index(name) if name in parameters else first
                spec = spec[position] if isinstance(position, int) and position < len(spec) else None
            for key in rest:
                if isinstance(spec, dict):
                    spec = spec.get(key)
                else:
                    spec = spec[key] if isinstance(spec, (list, tuple)) and key < len(spec) else None
            found.append(spec if isinstance(leaf, torch.Tensor) else None)
        return self._by_node(nodes, found)

    def _by_node(self, nodes: Sequence[Node], leaves: Sequence[Any]) -> dict[Node, Any]:
        names = [node.name for node in graph.placeholders(self.whole)]
        by_name = dict(zip(names, leaves, strict=True))
        return {node: by_name[node.name] for node in nodes if node.name in by_name}

    def _ran(self, key: str) -> dict[Node, Any]:
        seed_all(self.built.case.seed, self.built.name, key, "run")
        return graph.call(self.module, self.built.clone_inputs(key))


_last: dict[Wanted, Taken | graph.NoProgram] = {}


def taken(file: str, relative: str, case: str, dtype: str) -> Taken:
    """A case's program, made anew unless it is the last one. Raises NoProgram, and WorkerError where it can't be built.

    The case is built here once more: its parameters are nobody else's.
    """
    wanted = (file, relative, case, dtype)
    if wanted not in _last:
        _last.clear()
        built = build(file, relative, case, dtype)
        try:
            whole = graph.exported(built)
            _last[wanted] = Taken(built, whole, graph.functional(whole, built))
        except graph.NoProgram as none:
            _last[wanted] = none
    found = _last[wanted]
    if isinstance(found, graph.NoProgram):
        raise found
    return found


def answer(file: str, relative: str, case: str, dtype: str) -> dict[str, Any]:
    """The answer to `program`: fields of a `Program`, `returned` (names of the operators that the model's outputs come
    from, one an output, "" for none), `sets` (the input sets that parts can be run on) and `exporter_set`.
    """
    try:
        found = taken(file, relative, case, dtype)
    except graph.NoProgram as none:
        return {"operators": [], "problem": str(none)}
    operators = described(found.module, found.values(found.built.exporter_set))
    counts = {operator["name"]: operator.pop("results") for operator in operators}
    output = next(node for node in reversed(found.module.graph.nodes) if node.op == "output")
    leaves = tree_leaves(output.args[0])
    returned = [graph.operator_of(leaf).name if isinstance(leaf, Node) else "" for leaf in leaves]
    return {
        "operators": operators,
        "results": {name: count for name, count in counts.items() if count != 1},
        "problem": "",
        "returned": returned,
        "sets": found.sets(),
        "exporter_set": found.built.exporter_set,
    }
