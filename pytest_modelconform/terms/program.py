"""A model as a list of operators, and parts of it as models of their own: what blame looks for the guilty one in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# How a model is taken apart: at the operators of its exported program, or, where that can't be had, at its submodules.
OPERATORS, SUBMODULES = WAYS = ("operators", "submodules")


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A call in a model's forward: of an operator, or (`SUBMODULES`) of a submodule.

    name: unique in its program, and the same in each part of it: "conv2d_3", or "layer1.0.bn1" (the second call of one
    is "layer1.0.bn1@1"). target: "aten.conv2d.default", or the submodule's class. call: as one reads it:
    "aten.avg_pool2d(relu_4, [3, 3], [2, 2], ceil_mode=True)". takes: names of the operators and inputs that its
    operands come from; weights are none. inputs, returns: what its tensors are, "float32[1, 64, 56, 56]". module,
    kind: path and class of the innermost submodule that calls it; "" for the model itself. file, line, source: where
    the code of that call is, and its text; "" and 0 where that is not known. comparable: whether a case may have what
    it returns as an output: tensors, of floating point, that are not constant.
    """

    name: str
    target: str
    call: str
    takes: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    returns: tuple[str, ...] = ()
    module: str = ""
    kind: str = ""
    file: str = ""
    line: int = 0
    source: str = ""
    comparable: bool = True


@dataclass(frozen=True, kw_only=True)
class Program:
    """The operators of a model in the order in which they run. way: one of `WAYS`.

    problem: why the model's program can't be had, where `way` is SUBMODULES because of that. parents: with SUBMODULES,
    the call that a call is inside of, by name. stopped: where the capture ended, if `problem` is an exception that was
    raised while the model ran: an operator of no name, whose `module` and `kind` are the innermost submodule, and whose
    `target`, `file`, `line` and `source` the innermost function that is not PyTorch's own.
    """

    operators: tuple[Operator, ...]
    way: str = OPERATORS
    problem: str = ""
    parents: Mapping[str, str] = field(default_factory=dict)
    stopped: Operator | None = None

    def index(self, name: str) -> int:
        """Where an operator is."""
        return next(i for i, operator in enumerate(self.operators) if operator.name == name)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Operators of a program as a model of their own, by their names, and what it returns.

    operators: those that are kept; all where empty. A prefix (all operators up to one) takes what the case's model
    takes. One that lacks operators which those that are kept need takes these operators' results as inputs: the very
    tensors that they return in eager PyTorch, input set by input set. outputs: names of operators of it; empty: what
    is needed by operators that are left out, and the model's own outputs. With SUBMODULES: the one call, alone, with
    the inputs that reach it. Operators that rest on weights alone are inside of whatever needs them; fixed: those of
    them whose results are constants instead.
    """

    operators: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    way: str = OPERATORS
