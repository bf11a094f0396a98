"""A case whose model computes one operator otherwise: what a faulty exporter takes for the model."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.fx import GraphModule, Interpreter, Node
from torch.utils._pytree import tree_leaves, tree_unflatten

from pytest_modelconform.formats.program import exported
from pytest_modelconform.workers.host.forward import signature

from ..faults.dispatch import call
from . import site as sites
from .kinds import change_of
from .site import Site

if TYPE_CHECKING:
    from pytest_modelconform.workers.host.build import Built

# Their arguments are sizes, which a trace knows only where PyTorch's own methods are called.
_BY_METHOD = ("view", "reshape", "expand", "repeat", "narrow", "unflatten")


class NotApplicable(Exception):
    """The fault changes nothing here."""


class _Changed(Interpreter):
    """Runs a program with a fault at one of its operators."""

    def __init__(self, program: GraphModule, node: Node, site: Site) -> None:
        super().__init__(program)
        self.node = node
        self.site = site

    def run_node(self, n: Node) -> Any:
        if n is self.node:
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            func: Any = n.target
            values = {argument.name: argument.default_value for argument in func._schema.arguments}
            values.update(zip(values, args, strict=False))
            values.update(kwargs)
            done = change_of(self.site.kind)(func, values)
            if done is False:
                raise NotApplicable
            return done[0] if isinstance(done, tuple) else call(func, values)
        name = sites.operator_of(n)
        if torch._C._is_tracing() and name in ("sym_size", *_BY_METHOD):
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            return args[0].size(args[1]) if name == "sym_size" else getattr(args[0], name)(*args[1:], **kwargs)
        return super().run_node(n)


def changed(program: GraphModule, node: Node, site: Site, model: torch.nn.Module) -> torch.nn.Module:
    """A model with a fault at one operator, called as the model is."""

    class Changed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.program = program

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            # A new one each time: it would keep what an exporter's own tensors are.
            found = _Changed(program, node, site).run(*in_order(program, args, kwargs), enable_io_processing=False)
            return tree_unflatten(found, program._out_spec)  # type: ignore[arg-type]

    # dynamic_shapes and the graph's inputs go by these names.
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [own, *signature(model).parameters.values()]
    Changed.forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    made = Changed()
    # Not by `eval()`: a program is of one mode, and refuses to be asked.
    made.training = model.training
    return made


def flat_program(built: Built) -> GraphModule:
    """The program of a case, whose graph takes the leaves of a call in their order."""
    found: GraphModule = exported(built).module(check_guards=False)
    return found


def in_order(program: GraphModule, args: Any, kwargs: dict[str, Any]) -> list[Any]:
    """The leaves of a call as a program's graph takes them. Keyword arguments may come by position, too."""
    spec: Any = program._in_spec
    positional, named = spec.children()
    values = list(args)
    given = {**dict(zip(named.context or (), values[positional.num_children :], strict=False)), **kwargs}
    return tree_leaves((tuple(values[: positional.num_children]), {name: given[name] for name in named.context or ()}))


def planted(built: Built) -> Built:
    """The case as a faulty exporter sees it: as it is, where the fault's operator isn't in it."""
    site = sites.read()
    if site is None:
        return built
    program = flat_program(built)
    node = sites.find(site, program, in_order(program, *built.clone_inputs()))
    return built if node is None else replace(built, model=changed(program, node, site, built.model))


def applies(site: Site, program: GraphModule, built: Built) -> bool:
    """Whether the fault changes what the model returns for the exporters' input set."""
    args, kwargs = built.clone_inputs()
    node = next(node for node in program.graph.nodes if node.name == site.operator)
    with torch.no_grad():
        right = tree_leaves(built.model(*args, **kwargs))
        try:
            wrong = tree_leaves(changed(program, node, site, built.model)(*args, **kwargs))
        except NotApplicable:
            return False
    return any(
        not torch.equal(one, two) for one, two in zip(right, wrong, strict=True) if isinstance(one, torch.Tensor)
    )
