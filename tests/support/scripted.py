"""Cases as users bring them that torch.jit.script or a trace refuses, each beside the same with the advice followed.

tests/advice/test_scripts.py says which is refused with which words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pytest_modelconform import Case, generic_weights

SCALE = 2.0


def case(model: type[nn.Module], *shape: int, **fields: Any) -> Case:
    return Case(
        model=lambda: generic_weights(model()), inputs={"one": lambda: (torch.randn(*(shape or (2, 4))),)}, **fields
    )


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.scale = SCALE


class Named(Net):
    def forward(self, x: Tensor, **named: Tensor) -> Tensor:
        return self.a(x)


class Written(Net):
    def forward(self, x: Tensor, mask: Tensor = torch.ones(1)) -> Tensor:  # noqa: B008 - as TorchScript has it
        return self.a(x) * mask


class Scaled(nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2.0


class ScaledItself(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight, self.bias) * 2.0


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.utils.weight_norm(nn.Conv1d(2, 2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x)


class NormedNewly(Normed):
    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.a = nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 2, 3))


class NormedBefore(Normed):
    def __init__(self) -> None:
        super().__init__()
        nn.utils.remove_weight_norm(self.a)


class Spectral(Normed):
    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.a = nn.utils.spectral_norm(nn.Conv1d(2, 2, 3))


class SpectralBefore(Spectral):
    def __init__(self) -> None:
        super().__init__()
        nn.utils.remove_spectral_norm(self.a)


@dataclass
class Config:
    heads: int = 2


@dataclass
class Output:
    y: Tensor
    z: Tensor


class Plain(NamedTuple):
    y: Tensor
    z: Tensor


class Configured(Net):
    def __init__(self) -> None:
        super().__init__()
        self.config = Config()
        self.heads = self.config.heads

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) * self.config.heads


class ConfiguredBefore(Configured):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) * self.heads


class Told(Net):
    def forward(self, x: Tensor):  # type: ignore[no-untyped-def]
        return Output(self.a(x), x)


class ToldPlainly(Net):
    def forward(self, x: Tensor):  # type: ignore[no-untyped-def]
        return Plain(self.a(x), x)


class Imported(Net):
    def forward(self, x: Tensor) -> Tensor:
        import math

        return self.a(x) * math.pi


class Tried(Net):
    def forward(self, x: Tensor) -> Tensor:
        try:
            return self.a(x)
        except RuntimeError:
            return x


class Annotated(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.shown(x, self.a)  # type: ignore[arg-type]

    def shown(self, x: Tensor, layer: Net) -> Tensor:
        return layer(x)


class Global(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) * SCALE


class GlobalNot(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) * self.scale


class Causal(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, x, is_causal=x.shape[1] > 1)


class CausalFlag(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, x, is_causal=bool(x.shape[1] > 1))


class Sparse(Net):
    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.eye(4).to_sparse(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x)


class Dense(Sparse):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", self.mask.to_dense(), persistent=False)


named = case(Named)
written = case(Written)
scaled = case(Scaled)
scaled_itself = case(ScaledItself)
normed = case(Normed, 1, 2, 9)
normed_newly = case(NormedNewly, 1, 2, 9)
normed_before = case(NormedBefore, 1, 2, 9)
spectral = case(Spectral, 1, 2, 9)
spectral_before = case(SpectralBefore, 1, 2, 9)
configured = case(Configured)
configured_before = case(ConfiguredBefore)
told = case(Told)
told_plainly = case(ToldPlainly)
imported = case(Imported)
tried = case(Tried)
annotated = case(Annotated)
global_number = case(Global)
global_not = case(GlobalNot)
causal = case(Causal, 1, 3, 4)
causal_flag = case(CausalFlag, 1, 3, 4)
sparse = case(Sparse)
dense = case(Dense)
