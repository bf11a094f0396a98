"""The faithful adversary: eager's operators one by one, each as another runtime could rightly have computed it.

It adds nothing that is noise: products are added in another order, norms are folded into the convolutions before them,
functions are a library's of some units. What is exact in every arithmetic is as it is. It knows nothing of how the
plugin finds its noise floor, which it is there to test.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .convolve import Convolution
from .draw import Draw
from .operators import BATCH_NORMS, CONVOLUTION, TABLE, computed, convolution, inverse_root


@dataclass
class Memory:
    """What earlier runs of a model have shown. normed: addresses of weights whose convolution a batch norm follows."""

    normed: set[int] = field(default_factory=set)


class Faithful(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Computes what is in the table in a way that is drawn. counts: how many operators were."""

    def __init__(self, seed: str, memory: Memory) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.draw = Draw(seed)
        self.memory = memory
        self.counts: dict[str, int] = {}
        # The last convolution and its result: a batch norm may come next.
        self._last: tuple[Tensor, Convolution, bool] | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        in_place = name.endswith("_") and not name.startswith("__")
        base = name.removesuffix("_") if in_place else name
        found: Any = NotImplemented
        if func.namespace == "aten" and base in TABLE and func._overloadname != "out" and _is_single(args, kwargs):
            found = self._faithful(base, func, _bound(func, args, kwargs), in_place)
        if found is NotImplemented:
            return func(*args, **kwargs)
        self.counts[base] = self.counts.get(base, 0) + 1
        return args[0].copy_(found) if in_place else found

    def _faithful(self, name: str, func: Any, arguments: dict[str, Any], in_place: bool) -> Any:
        if name == CONVOLUTION and not in_place:
            return self._convolution(func, arguments)
        if name in BATCH_NORMS and (folded := self._folded(arguments)) is not None:
            return folded, folded.new_empty(0), folded.new_empty(0)
        return TABLE[name](self.draw, func, arguments)

    def _convolution(self, func: Any, arguments: dict[str, Any]) -> Tensor:
        given = convolution(arguments)
        fold = not given.transposed and self.draw.whether("norms folded")
        if fold and given.weight.data_ptr() in self.memory.normed:
            # Computed for good where the norm is; eager's serves whoever else may look at it.
            found: Tensor = func(*arguments.values())
        else:
            found = computed(self.draw, given)
        self._last = (found, given, fold)
        return found

    def _folded(self, a: dict[str, Any]) -> Tensor | None:
        """A batch norm in the weights of the convolution whose result it gets, if that is drawn."""
        last, self._last = self._last, None
        if last is None or a["input"] is not last[0] or a.get("training", False):
            return None
        _, given, fold = last
        if not given.transposed:
            self.memory.normed.add(given.weight.data_ptr())
        if not fold:
            return None
        scale = inverse_root(self.draw, a["running_var"] + a["eps"])
        scale = scale if a["weight"] is None else scale * a["weight"]
        middle = -a["running_mean"] if given.bias is None else given.bias - a["running_mean"]
        bias = middle * scale if a["bias"] is None else middle * scale + a["bias"]
        weight = given.weight * scale.reshape(-1, *[1] * (given.weight.dim() - 1))
        return computed(self.draw, replace(given, weight=weight, bias=bias))


def _is_single(args: Any, kwargs: Any) -> bool:
    """Whether what floats among the tensors is float32 (or complex64), on the CPU; and there is such a one."""
    found = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    floating = [one for one in found if one.is_floating_point() or one.is_complex()]
    right = all(one.dtype in (torch.float32, torch.complex64) for one in floating)
    return bool(floating) and right and all(type(one) in _PLAIN and one.device.type == "cpu" for one in found)


_PLAIN = (Tensor, torch.nn.Parameter, torch.nn.Buffer)


def _bound(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """Arguments by name, with defaults."""
    found = {}
    for i, argument in enumerate(func._schema.arguments):
        if i < len(args):
            found[argument.name] = args[i]
        elif argument.name in kwargs:
            found[argument.name] = kwargs[argument.name]
        else:
            found[argument.name] = argument.default_value
    return found


@contextlib.contextmanager
def faithful(seed: str, memory: Memory) -> Iterator[Faithful]:
    """Within it, eager is another faithful runtime. Attention and recurrent layers come as their parts."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            torch.no_grad(),
            torch.backends.mkldnn.flags(enabled=False),
            sdpa_kernel(SDPBackend.MATH),
            Faithful(seed, memory) as mode,
        ):
            yield mode
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
