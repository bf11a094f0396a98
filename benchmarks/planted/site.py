"""Which call of which operator an exporter gets wrong, and where that is in a program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.fx import GraphModule, Interpreter, Node
from torch.utils._pytree import tree_leaves

from ..faults.dispatch import name_of
from .kinds import FOLDED, KINDS

# The file that says what the exporters of this process and of its children get wrong; nothing where there is none.
VARIABLE = "MODELCONFORM_PLANTED"
# What is the same in a part differs by rounding at most: a part is fed with what eager PyTorch has returned.
_NEAR = 1e-4


@dataclass(frozen=True)
class Site:
    """A fault of a kind at an operator.

    operator: its name in the model's program. target: the operator itself. constants: what it is called with that are
    no tensors; tensors: its operands and weights for the exporters' input set. after: for a fault that takes two, the
    name of the operator before it.
    """

    kind: str
    operator: str
    target: str
    constants: str
    tensors: tuple[torch.Tensor, ...]
    after: str = ""


def write(site: Site | None, file: Path) -> None:
    """Have exporters get this wrong, or nothing."""
    file.unlink(missing_ok=True)
    if site is not None:
        torch.save(vars(site), file)


def read() -> Site | None:
    """What exporters are to get wrong."""
    file = os.environ.get(VARIABLE, "")
    return Site(**torch.load(file, weights_only=True)) if file and Path(file).is_file() else None


class _Seen(Interpreter):
    """Runs a program and keeps what each operator that is of interest is called with."""

    def __init__(self, program: GraphModule, wanted: Any) -> None:
        super().__init__(program)
        self.wanted = wanted
        self.found: dict[Node, tuple[str, tuple[torch.Tensor, ...]]] = {}

    def run_node(self, n: Node) -> Any:
        if n.op == "call_function" and self.wanted(n):
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            leaves = tree_leaves((args, kwargs))
            tensors = tuple(leaf.detach().clone() for leaf in leaves if isinstance(leaf, torch.Tensor))
            self.found[n] = constants_of(n), tensors
        return super().run_node(n)


def constants_of(node: Node) -> str:
    """What a node is called with besides what is computed."""

    def shown(leaf: Any) -> str:
        return "·" if isinstance(leaf, Node) else repr(leaf)

    return ", ".join([*map(shown, tree_leaves(node.args)), *(f"{k}={shown(v)}" for k, v in node.kwargs.items())])


def operator_of(node: Any) -> str:
    """`conv2d` for a call of `aten.conv2d.default`; "" for what calls no operator."""
    target = getattr(node, "target", None)
    return name_of(target) if isinstance(target, torch._ops.OpOverload) else ""


def before(node: Node) -> Node | None:
    """The operator that a node's first operand comes from, if nobody else sees that."""
    first = next((arg for arg in node.args if isinstance(arg, Node)), None)
    return first if first is not None and first.op == "call_function" and len(first.users) == 1 else None


def sites(program: GraphModule, leaves: Any) -> Iterator[Site]:
    """Every fault of every kind that a program has a place for; those that change nothing among them."""
    names = {name for operators, _ in KINDS.values() for name in operators}
    names |= {name for _, operators, _ in FOLDED.values() for name in operators}
    seen = _Seen(program, lambda node: operator_of(node) in names)
    with torch.no_grad():
        seen.run(*leaves, enable_io_processing=False)
    for node, (constants, tensors) in seen.found.items():
        what = (node.name, str(node.target), constants, tensors)
        for kind, (operators, _) in KINDS.items():
            if operator_of(node) in operators:
                yield Site(kind, *what)
        for kind, (firsts, seconds, _) in FOLDED.items():
            first = before(node)
            if operator_of(node) in seconds and first is not None and operator_of(first) in firsts:
                yield Site(kind, *what, after=first.name)


def find(site: Site, program: GraphModule, leaves: Any) -> Node | None:
    """The operator in a program that is called with the exporters' input set (its tensors), or None.

    leaves: of the call with that set, as the program's graph takes them.
    """
    seen = _Seen(program, lambda node: str(node.target) == site.target and constants_of(node) == site.constants)
    with torch.no_grad():
        seen.run(*leaves, enable_io_processing=False)
    folded = FOLDED[site.kind][0] if site.kind in FOLDED else ()
    for node, (_, tensors) in seen.found.items():
        if not _same(tensors, site.tensors):
            continue
        first = before(node)
        if not folded or (first is not None and operator_of(first) in folded):
            return node
    return None


def _same(one: tuple[torch.Tensor, ...], two: tuple[torch.Tensor, ...]) -> bool:
    return len(one) == len(two) and all(map(_near, one, two))


def _near(one: torch.Tensor, two: torch.Tensor) -> bool:
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    if not one.is_floating_point():
        return torch.equal(one, two)
    return torch.allclose(
        one, two, rtol=_NEAR, atol=_NEAR * float(two.abs().mean() if two.numel() else 0), equal_nan=True
    )
