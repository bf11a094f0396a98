"""A run of a model whose every operator is moved by what another faithful order or formula could have made of it."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from .. import control_flow
from ..operands import leaves, mapped
from . import arithmetic, functions, norms, products, steps, sums, ties
from .call import Call, Draws, Formula, Relative, Replaced, Spread, Tensor, Unknown, floating, wide
from .exact import DECIDING, EXACT, HARMLESS

FORMULAS: dict[str, Formula] = {
    **arithmetic.FORMULAS,
    **functions.FORMULAS,
    **norms.FORMULAS,
    **products.FORMULAS,
    **sums.FORMULAS,
}
# Spreads of products are kept from the first run for the others, since they cost as much as the products.
_KEPT = frozenset(products.FORMULAS)
_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
_MOST_KEPT = 1 << 30  # bytes


class Magnitudes:
    """Spreads of the products of a run, in order, for further runs with the same inputs."""

    def __init__(self) -> None:
        self._found: list[tuple[str, list[Spread]]] = []
        self._bytes = 0
        self._next = 0

    def rewind(self) -> None:
        """Begin a run."""
        self._next = 0

    def of(self, call: Call, formula: Formula) -> Sequence[Spread]:
        """The spreads of the next product: those of the run before, where it is the same one."""
        name = str(call.func)
        position, self._next = self._next, self._next + 1
        if position < len(self._found) and self._found[position][0] == name:
            spreads = self._found[position][1]
            if spreads and all(_fits(spread, one) for spread, one in zip(spreads, call.results, strict=False)):
                return spreads
        spreads = list(formula(call))
        size = sum(spread.nbytes for spread in spreads if isinstance(spread, torch.Tensor))
        if position == len(self._found):
            keep = self._bytes + size <= _MOST_KEPT
            self._bytes += size if keep else 0
            self._found.append((name, spreads if keep else []))
        return spreads


def _fits(spread: Spread, result: Tensor) -> bool:
    return not isinstance(spread, torch.Tensor) or spread.shape == result.shape


class OperatorNoise(TorchDispatchMode):
    """Moves the result of each operator by ξ times its spread, ξ standard normal.

    draws: of ξ. scale: of the spreads; negative for the same run on the other side. longest: the most terms that one
    accumulator is taken to add. turn: by how much the orders of equal elements are turned round that PyTorch doesn't
    promise (ties.py); None leaves them. decides: whether an operator was seen that makes a decision of what rounding
    moves: a comparison, an index, a whole number. general: how often an operator was moved without a formula, by name.
    packed: whether nested tensors were seen, in which nothing is moved. tied: whether `turn` has changed an order.
    rounded: steps of a quantised model, as it runs. dtypes: of what operators with noise return.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True, the default, imports the compiler at the first operator: seconds of every case host's life.
        return False

    def __init__(
        self,
        draws: Draws,
        scale: float = 1.0,
        magnitudes: Magnitudes | None = None,
        longest: float = math.inf,
        turn: int | None = None,
    ) -> None:
        super().__init__()
        self.draws = draws
        self.scale = scale
        self.longest = longest
        self.turn = turn
        self.magnitudes = magnitudes or Magnitudes()
        self.magnitudes.rewind()
        self.decides = False
        self.general: Counter[str] = Counter()
        self.packed = False
        self.tied = False
        self.rounded = WeakTensorKeyDictionary()
        self.dtypes: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called for each operator."""
        kwargs = kwargs or {}
        if steps.is_step(func):
            returned = func(*args, **kwargs)
            if steps.is_rounding(func):
                self.rounded[returned] = True
            elif args[0] in self.rounded:  # and not a weight, which was rounded long before
                return steps.moved(func, args, kwargs, returned, self.draws, self.scale)
            return returned
        schema, name = func._schema, func.overloadpacket.__name__
        name = name.removesuffix("_") if schema.is_mutable else name
        if _is_view(schema) or name in EXACT:
            returned = func(*args, **kwargs)
            self._look(name, returned, args)
            if self.turn is not None and name in ties.ANY_ORDER and not schema.is_mutable:
                other = ties.other_order(Call(name, func, args, kwargs, [], returned, self.draws), self.turn)
                self.tied |= other is not returned and not torch.equal(other[1], returned[1])
                return other
            return returned
        before = (args, kwargs)
        if schema.is_mutable:
            before = _before(schema, args, kwargs)
        returned = func(*args, **kwargs)
        self._look(name, returned, args)
        made = _written(schema, args, kwargs) if schema.is_mutable else leaves(returned)
        results = [result for result in made if floating(result) and result.numel()]
        if results:
            self.dtypes.add(results[0].dtype)
            self._move(Call(name, func, *before, results, returned, self.draws, self.longest))
        return returned

    def _look(self, name: str, returned: Any, args: Any) -> None:
        if isinstance(returned, torch.Tensor) and returned.is_nested:
            self.packed = True
        if self.decides or name in HARMLESS:
            return
        if any(floating(leaf) for leaf in leaves(args)):
            found = [leaf for leaf in leaves(returned) if isinstance(leaf, (torch.Tensor, bool, int))]
            self.decides = name in DECIDING or any(not floating(leaf) for leaf in found)

    def _move(self, call: Call) -> None:
        formula = FORMULAS.get(call.name)
        try:
            if formula is None:
                raise Unknown(call.name)
            spreads = self.magnitudes.of(call, formula) if call.name in _KEPT else formula(call)
            for result, spread in zip(call.results, spreads, strict=True):
                self._moved(call, result, spread)
        except Exception:
            # An overload that the formula doesn't know, a layout that an operator doesn't take: no reason to fail.
            self.general[call.name] += 1
            for result, spread in zip(call.results, arithmetic.general(call), strict=True):
                self._moved(call, result, spread)

    def _moved(self, call: Call, result: Tensor, spread: Spread) -> None:
        if spread is None:
            return
        value = result
        if isinstance(spread, Replaced):
            # As far beyond, or to the other side, as the rest of this run.
            value, spread = torch.lerp(wide(result), wide(spread.value), self.scale), spread.spread
        if value.shape != result.shape or not (isinstance(spread, Relative) or _fits(spread, result)):
            raise ValueError(f"a spread of another shape than {tuple(result.shape)}")
        noise = call.normal(result)
        if isinstance(spread, Relative):
            if wide(result) is result and value is result and math.isfinite(float(result.real.sum())):
                torch.addcmul(result, result, noise, value=self.scale * spread.factor, out=result)
                return
            spread = wide(result).abs() * spread.factor
        if wide(result) is result and math.isfinite(float(value.real.sum()) + _total(spread)):
            torch.addcmul(value, noise, torch.as_tensor(spread, dtype=noise.dtype), value=self.scale, out=result)
            return
        # NaN, infinities and what becomes one stay: an operand's infinity that the result doesn't show is no noise.
        moved = (wide(value) + noise * (self.scale * spread)).to(result.dtype)
        result.copy_(torch.where(torch.isfinite(moved) & torch.isfinite(result), moved, result))


def _total(spread: Tensor | float) -> float:
    return float(spread.sum()) if isinstance(spread, torch.Tensor) else spread


def _is_view(schema: Any) -> bool:
    """Whether an operator returns a view of an operand, and writes nothing."""
    return not schema.is_mutable and any(argument.alias_info is not None for argument in schema.arguments)


def _before(schema: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments, with copies of those that the operator writes to."""
    copied = lambda value: mapped(lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, value)  # noqa: E731
    writes = {argument.name for argument in schema.arguments if argument.alias_info and argument.alias_info.is_write}
    names = [argument.name for argument in schema.arguments]
    found = [copied(value) if name in writes else value for name, value in zip(names, args, strict=False)]
    return tuple(found), {name: copied(value) if name in writes else value for name, value in kwargs.items()}


def _written(schema: Any, args: Any, kwargs: Any) -> Iterator[Any]:
    for position, argument in enumerate(schema.arguments):
        if argument.alias_info and argument.alias_info.is_write:
            given = args[position] if position < len(args) else kwargs.get(argument.name)
            yield from leaves(given)


def _calls_recurrent(module: torch.nn.Module) -> bool:
    """Whether an exported program calls a recurrent layer."""
    if not isinstance(module, torch.fx.GraphModule):
        return False
    packets = (getattr(node.target, "overloadpacket", None) for node in module.graph.nodes)
    return any(getattr(packet, "__name__", "") in _RECURRENT for packet in packets)


@contextlib.contextmanager
def in_sight(model: torch.nn.Module) -> Iterator[None]:
    """See to it that attention and recurrent layers are made of operators that can be moved, not one fused one."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    # oneDNN is off only where the model has recurrent layers; set by hand, since its own context manager touches what
    # warns without an Intel GPU.
    backends: Any = torch.backends
    enabled = backends.mkldnn.enabled
    recurrent = any(isinstance(module, torch.nn.RNNBase) or _calls_recurrent(module) for module in model.modules())
    try:
        backends.mkldnn.enabled = enabled and not recurrent
        with sdpa_kernel(SDPBackend.MATH), control_flow.in_python():
            yield
    finally:
        backends.mkldnn.enabled = enabled
