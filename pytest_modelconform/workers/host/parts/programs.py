"""The programs that this process has taken apart: the last one is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_flatten_with_path, tree_leaves

from pytest_modelconform.terms.case import TORCH
from pytest_modelconform.terms.program import OPERATORS, SUBMODULES

from .. import large
from ..build import Built, build
from ..forward import signature
from ..state import seed_all
from . import graph, submodules
from .described import described

Wanted = tuple[str, str, str, str]
# The same, and whether sizes are fixed.
_Program = tuple[str, str, str, str, bool]


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
        """What each node of `module` is for an input set, as eager computes it. Those of two sets are kept."""
        if key not in self._values:
            others = list(self._values.items())[-1:]
            self._values = {**dict(others), key: self._ran(key)}
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
            kind, first, *rest = [_key(step) for step in path]
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


def _key(step: Any) -> Any:
    """An index or a name, on the way to a leaf."""
    return step.idx if hasattr(step, "idx") else step.key


_built: dict[Wanted, Built] = {}
_last: dict[_Program, Taken | graph.NoProgram] = {}


def whole_case(file: str, relative: str, case: str, dtype: str) -> Built:
    """A case, built once more, so that its parameters are nobody else's. The last one is kept."""
    wanted = (file, relative, case, dtype)
    if wanted not in _built:
        _built.clear()
        _last.clear()
        built = build(file, relative, case, dtype)
        # The case, its program, that without writes, a part, and a copy of that.
        large.require(built, "a search for the operator at fault", lambda size: 5 * size)
        _built[wanted] = built
    return _built[wanted]


def taken(file: str, relative: str, case: str, dtype: str, static: bool = False) -> Taken:
    """A case's program. Raises NoProgram, and WorkerError where the case can't be built.

    static: all sizes are those of the exporters' input set, whatever the case says.
    """
    wanted = (file, relative, case, dtype, static)
    built = whole_case(file, relative, case, dtype)
    if static:
        built = replace(built, dynamic_shapes=None)
    if wanted not in _last:
        try:
            whole, program = graph.exported(built)
            _last[wanted] = Taken(built, whole, graph.functional(whole, program, built))
        except graph.NoProgram as none:
            none.__cause__ = none.__context__ = None  # its frames hold the model's tensors
            _last[wanted] = none
    found = _last[wanted]
    if isinstance(found, graph.NoProgram):
        raise found
    return found


def answer(file: str, relative: str, case: str, dtype: str, way: str = "", static_too: bool = False) -> dict[str, Any]:
    """The answer to `program`: fields of a `Program`, and those that references/content.py says of it.

    way: as in `Program`; "": by operators, or by submodules where there is no program. static_too: whether one of fixed
    sizes will do where there is none that leaves open what the case does.
    """
    problem, stopped = "", None
    if way != SUBMODULES:
        for static in (False, True) if static_too else (False,):
            try:
                found = taken(file, relative, case, dtype, static)
            except graph.NoProgram as none:
                problem, stopped = (problem, stopped) if problem else (str(none), none.stopped)
                if whole_case(file, relative, case, dtype).dynamic_shapes is None:
                    break
            else:
                return {**_by_operators(found), "way": OPERATORS, "problem": problem, "static": static}
    found_in = _by_submodules(whole_case(file, relative, case, dtype))
    return {**found_in, "way": SUBMODULES, "problem": problem, "stopped": stopped}


def _by_operators(found: Taken) -> dict[str, Any]:
    operators = described(found.module, found.values(found.built.exporter_set))
    counts = {operator["name"]: operator.pop("results") for operator in operators}
    constants = [operator["name"] for operator in operators if operator.pop("constant")]
    output = next(node for node in reversed(found.module.graph.nodes) if node.op == "output")
    leaves = tree_leaves(output.args[0])
    returned = [graph.operator_of(leaf).name for leaf in leaves if isinstance(leaf, Node) and graph.is_tensor(leaf)]
    return {
        "operators": operators,
        "results": {name: count for name, count in counts.items() if count != 1},
        "constants": constants,
        "returned": returned,
        "sets": found.sets(),
        "exporter_set": found.built.exporter_set,
    }


def _by_submodules(built: Built) -> dict[str, Any]:
    operators = submodules.described(built) if built.case.framework == TORCH else []
    parents = {operator["name"]: operator.pop("parent") for operator in operators}
    counts = {operator["name"]: operator.pop("results") for operator in operators}
    return {
        "operators": operators,
        "results": {name: count for name, count in counts.items() if count != 1},
        "parents": {name: parent for name, parent in parents.items() if parent},
        "sets": list(built.inputs),
        "exporter_set": built.exporter_set,
    }
