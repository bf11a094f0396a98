"""Eager runs in which every operand of a matrix product or convolution has bfloat16's eight significant bits.

The noise of a runtime's fast mode. Rounding is stochastic (up or down at random, by how near each neighbour is; Parker,
Monte Carlo Arithmetic, 1997), so that several runs show how far results may be apart, and its mean error is zero.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from pytest_modelconform.terms.runs import NOISY_RUNS, WIDE_RUNS

from ...loop import WorkerError
from ...tensors import Tensor
from ..build import Built
from ..noise.call import Draws
from ..noise.mode import OperatorNoise, in_sight
from ..state import seed_of
from . import noisy
from .eager import add_run
from .float64 import SAME_SIZE_INTEGER, Jitter, is_whole

# Bits of the mantissa that bfloat16 doesn't have.
DROPPED = {torch.float64: 45, torch.float32: 16, torch.float16: 3}
# Operators whose operands processors and GPUs multiply in reduced precision.
PRODUCTS = {
    *("mm", "addmm", "bmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "vdot", "linear", "matmul"),
    *("convolution", "_convolution", "convolution_overrideable", "mkldnn_rnn_layer"),
}


class Reduced(TorchDispatchMode):
    """Rounds the operands of products."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # As in double.py: True imports the compiler.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called for each operator."""
        kwargs = kwargs or {}
        # What is written to has to be that very tensor.
        if func.overloadpacket.__name__ in PRODUCTS and not func._schema.is_mutable:
            args, kwargs = (tree_map(lambda leaf: rounded(leaf, self.generator), value) for value in (args, kwargs))
        return func(*args, **kwargs)


def rounded(value: Any, generator: torch.Generator) -> Any:
    """A tensor with bfloat16's significant bits, in its own dtype; anything else as it is.

    Infinities and NaN stay, and nothing becomes infinite: a mask of finfo.min would make NaN of it.
    """
    if isinstance(value, torch.Tensor) and value.is_complex():
        return torch.view_as_complex(rounded(torch.view_as_real(value.resolve_conj()), generator).contiguous())
    if not isinstance(value, torch.Tensor) or value.dtype not in DROPPED or value.numel() == 0:
        return value
    dropped, integer = DROPPED[value.dtype], SAME_SIZE_INTEGER[value.dtype]
    bits = value.detach().contiguous().view(integer)
    # Bits are sign and magnitude: adding to them moves away from zero, cutting them off moves towards it.
    chance = torch.randint(0, 2**dropped, value.shape, generator=generator, dtype=torch.int64).to(integer)
    low = torch.bitwise_and(bits, -(2**dropped)).view(value.dtype)
    high = torch.bitwise_and(bits + chance, -(2**dropped)).view(value.dtype)
    result = torch.where(torch.isfinite(value), torch.where(torch.isfinite(high), high, low), value)
    # As transposed as it was: other strides are other kernels.
    return torch.empty_like(value, memory_format=torch.preserve_format).copy_(result)


class ReducedModel(Jitter):
    """A copy of a model whose parameters and buffers can be rounded, again and again."""

    def round(self, generator: torch.Generator) -> None:
        """Round all, from the original values."""
        with torch.no_grad():
            for value, original in self.parameters:
                value.copy_(rounded(original, generator))
            for buffer, original in self.buffers:
                buffer.copy_(_input(original, generator))


def _input(value: Any, generator: torch.Generator) -> Any:
    """Whole numbers stay, as they do where units are moved: masks, counts, positions."""
    whole = isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() > 1 and is_whole(value)
    return value if whole else rounded(value, generator)


def noise(built: Built) -> noisy.AddRuns:
    """The runs, in place of those with the noise of the model's own dtype.

    They raise WorkerError where the model fails with such operands.
    """
    if built.dtype == "bfloat16":
        # Its ordinary noise is that of this arithmetic.
        return noisy.noise(built)
    model = ReducedModel(built.model)

    def add(key: str, runs: dict[str, Tensor]) -> None:
        for k in range(1, NOISY_RUNS + WIDE_RUNS + 1):
            model.round(torch.Generator().manual_seed(seed_of(built.case.seed, built.name, "reduced", k)))
            _add_run(built, key, k, model.model, runs)

    return add


def _add_run(built: Built, key: str, k: int, model: torch.nn.Module, runs: dict[str, Tensor]) -> None:
    generator = torch.Generator().manual_seed(seed_of(built.case.seed, built.name, "reduced", key, k))
    inputs = tree_map(lambda leaf: _input(leaf, generator), built.clone_inputs(key))
    try:
        # What is rounded to bfloat16 is still added up, and goes through functions, in some faithful order.
        with _products_in_sight(model), OperatorNoise(Draws(generator)), Reduced(generator):
            add_run(built, key, k, model, inputs, runs)
    except WorkerError:
        raise
    except Exception as error:
        what = "with weights, inputs and operands rounded to bfloat16, as a runtime's fast mode may do"
        fault = f"the model fails {what}: {type(error).__name__}: {error}"
        raise WorkerError(f"case {built.name!r}, input set {key!r}: {fault}", "reference") from error


@contextlib.contextmanager
def _products_in_sight(model: torch.nn.Module) -> Iterator[None]:
    """See to it that products are operators of their own, and not the inside of a fused one."""
    fastpath = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        with in_sight(model):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)
