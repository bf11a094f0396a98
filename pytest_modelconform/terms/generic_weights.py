"""The rules behind `generic_weights`. Imports torch, so `case.py` imports this only when a model is built."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized
from torch.nn.utils.spectral_norm import SpectralNorm

# Just under the sqrt(2) of He et al., arXiv:1502.01852, which keeps the variance through a ReLU. It matters where batch
# norms don't normalise, because their statistics are ours. Measured over cases/vision with torchvision 0.29.1: at
# sqrt(2) DeepLabv3 reaches 2000 and SSDLite's scores tie at 1; at 1.1 a 1 % change of the biases in MobileNetV3's
# squeeze-and-excitation drowns in float32's noise.
GAIN = 1.3

BIAS_STD = 0.1
TOKEN_STD = 0.5
# What multiplies a signal: norm weights, layer scale (arXiv:2103.17239), the magnitude of weight norm.
SCALE_NAMES = ("weight", "scale", "gamma", "original0", "_g")

_POWER_ITERATIONS = 30
_CONV_TRANSPOSE = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_EMBEDDING = (nn.Embedding, nn.EmbeddingBag)
_MATRIX = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def fill(module: nn.Module, seed: int = 0) -> None:
    """Overwrite the parameters and batch norm statistics of `module` in place; see `case.generic_weights`.

    Each tensor has a generator of its own, so that a value depends on the seed, the tensor's name and its shape, but
    not on the global generator or on what else the model holds. Other buffers (anchors, masks, position tables) are
    part of the architecture and stay.

    Raises ValueError for a lazy module whose parameters have no shape yet.
    """
    seen: set[int] = set()
    with torch.no_grad():
        for prefix, owner in module.named_modules():
            if _is_orthogonal(owner):
                continue
            for name, tensor in (*owner.named_parameters(recurse=False), *_statistics(owner)):
                full_name = f"{prefix}.{name}" if prefix else name
                if nn.parameter.is_lazy(tensor):
                    raise ValueError(f"parameter {full_name} is lazy: run the model once before generic_weights()")
                # A tied parameter is filled once, under its first name, as state_dict and optimisers count it.
                if id(tensor) in seen or not (tensor.is_floating_point() or tensor.is_complex()):
                    continue
                seen.add(id(tensor))
                real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
                real.copy_(_draw(owner, name, tuple(tensor.shape), tuple(real.shape), _generator(seed, full_name)))
        for prefix, owner in module.named_modules():
            _parametrized(owner, partial(_generator_below, seed, prefix))


def filled(module: nn.Module) -> set[str]:
    """The names of the parameters and buffers that `fill` gives other values."""
    names: set[str] = set()
    for prefix, owner in module.named_modules():
        own = (*owner.named_parameters(recurse=False), *_statistics(owner))
        names |= {f"{prefix}.{name}" if prefix else name for name, _ in own}
    return names


def _is_orthogonal(owner: nn.Module) -> bool:
    """Whether this holds what torch.nn.utils.parametrizations.orthogonal makes a matrix of: not any numbers will do."""
    return isinstance(owner, ParametrizationList) and any(type(step).__name__ == "_Orthogonal" for step in owner)


def _parametrized(owner: nn.Module, generator: Callable[[str], torch.Generator]) -> None:
    """Make the weights of a layer what its orthogonal or spectral_norm says of them."""
    parametrizations: Any = getattr(owner, "parametrizations", {})
    lists = dict(parametrizations.items()) if is_parametrized(owner) else {}
    for name, steps in lists.items():
        if _is_orthogonal(steps):
            setattr(owner, name, _orthogonal(getattr(owner, name), generator(name)))
    norms = {step: name for name, steps in lists.items() for step in steps if type(step).__name__ == "_SpectralNorm"}
    hooks = [hook for hook in owner._forward_pre_hooks.values() if isinstance(hook, SpectralNorm)]
    # As training would have: what they divide by is the greatest singular value only then.
    for step, name in norms.items():
        _draw_unit_vectors(
            [v for v in (getattr(step, "_u", None), getattr(step, "_v", None)) if v is not None], generator
        )
        step.training, training = True, step.training
        for _ in range(_POWER_ITERATIONS):
            getattr(owner, name)
        step.training = training
    for hook in hooks:
        _draw_unit_vectors([getattr(owner, f"{hook.name}_{which}") for which in "uv"], generator)
        for _ in range(_POWER_ITERATIONS):
            hook.compute_weight(owner, do_power_iteration=True)


def _draw_unit_vectors(vectors: Sequence[Tensor], generator: Callable[[str], torch.Generator]) -> None:
    for vector in vectors:
        drawn = torch.randn(vector.shape, generator=generator("spectral_norm"), dtype=torch.float64)
        vector.copy_(drawn / drawn.norm())


def _orthogonal(weight: Tensor, generator: torch.Generator) -> Tensor:
    """A matrix (or several) of that shape, whose rows or columns, the fewer of them, are orthonormal."""
    drawn = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    wide = drawn.shape[-2] < drawn.shape[-1]
    found: Tensor = torch.linalg.qr(drawn.mT if wide else drawn).Q
    return (found.mT if wide else found).to(weight)


def _statistics(owner: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The buffers that training would have filled: those of a batch norm, frozen ones (torchvision.ops) included."""
    buffers = dict(owner.named_buffers(recurse=False))
    if "running_mean" in buffers and "running_var" in buffers:
        yield from ((n, buffers[n]) for n in ("running_mean", "running_var", "weight", "bias") if n in buffers)


def _generator(seed: int, name: str) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)  # manual_seed takes 63 bits everywhere


def _generator_below(seed: int, prefix: str, name: str) -> torch.Generator:
    return _generator(seed, f"{prefix}.{name}" if prefix else name)


def _draw(
    owner: nn.Module, name: str, shape: tuple[int, ...], real_shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Values for the tensor `name` of `owner`. `real_shape` is `shape`, with a last axis of 2 where it is complex.

    Drawn in float64: only float32's normal numbers depend on the CPU's vector width.
    """

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(real_shape, generator=generator, dtype=torch.float64, device="cpu") * (high - low) + low

    def normal(std: float) -> Tensor:
        return torch.randn(real_shape, generator=generator, dtype=torch.float64, device="cpu") * std

    if name == "running_mean":
        return uniform(-0.1, 0.1)
    if name == "running_var":
        return uniform(0.5, 1.5)
    if name == "logit_scale":
        return uniform(1.0, 2.0)  # CLIP and Swin v2 take its exponential: sharper than 1, far from their limit of 100
    if isinstance(owner, nn.PReLU):
        return uniform(0.1, 0.4)  # a slope; at 1 it would be linear, and dropping it would not show
    if "bias" in name and "table" not in name:
        return normal(BIAS_STD)
    std = _layer_std(owner, shape) if name == "weight" else None
    if std is not None:
        return normal(std)
    # A layer that we don't know: its parameter's name and shape have to do.
    if "Norm" in type(owner).__name__ or _is_vector(shape):
        return uniform(0.8, 1.2) if name.startswith(SCALE_NAMES) or name.endswith(SCALE_NAMES) else normal(BIAS_STD)
    if shape[0] == 1:
        return normal(TOKEN_STD)  # (1, length, channels): broadcast over the batch, so added or concatenated
    return normal(GAIN / math.sqrt(max(math.prod(shape[1:]), 1)))


def _layer_std(owner: nn.Module, shape: tuple[int, ...]) -> float | None:
    """The standard deviation that keeps the signal's size in a weight of a layer whose fan_in we know, else None."""
    if isinstance(owner, _EMBEDDING):
        return 1.0  # a look-up picks one row
    if isinstance(owner, _CONV_TRANSPOSE):
        taps = math.prod(shape[2:]) / math.prod(owner.stride)  # kernel elements that reach one output element
        fan_in = shape[0] / owner.groups * taps
    elif isinstance(owner, _MATRIX):
        fan_in = math.prod(shape[1:])
    elif type(owner).__name__ == "Conv1D" and len(shape) == 2:
        fan_in = shape[0]  # GPT-2's layer in transformers, stored (in, out)
    else:
        return None
    return GAIN / math.sqrt(max(fan_in, 1))


def _is_vector(shape: tuple[int, ...]) -> bool:
    """Whether at most one dimension is larger than 1: (), (C,), (C, 1, 1), (1, 1, C)."""
    return sum(size != 1 for size in shape) <= 1
