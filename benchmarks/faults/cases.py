"""Small cases for what no case of the zoo returns: NaN, large integers, complex numbers, empty tensors, and so on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class NotFinite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 16)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.linear(x)
        return torch.log(y), 1.0 / torch.relu(y)


class LargeIntegers(nn.Module):
    """Numbers that don't fit in 32 bits, nor in a float32."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(6))

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        return ids * 3_000_000_019 + 7, ids.float() * self.weight


class Spectrum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = torch.fft.rfft(self.linear(x))
        return found


class Largest(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 24)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        values, indices = torch.topk(self.linear(x), 5)
        return values, indices


class Selected(nn.Module):
    """The first output is empty for every input: nothing is beyond the threshold."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.linear(x)
        return y[y[:, 0] > 1e6], y


class Single(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        mean: Tensor = self.linear(x).square().mean()
        return mean


class Masked(nn.Module):
    """Attention with a mask of finfo.min; one query may see no key at all."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        scores = self.query(x) @ self.key(x).transpose(1, 2) * 0.25
        scores = torch.where(mask, scores, torch.full_like(scores, torch.finfo(scores.dtype).min))
        seen: Tensor = torch.softmax(scores, -1) @ self.value(x)
        return seen


class Pixels(nn.Module):
    """What vision models do with windows: padding, pooling, resizing."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu6(self.norm(self.first(x)))
        y = nn.functional.avg_pool2d(y, 3, stride=2, padding=1, ceil_mode=True)
        y = nn.functional.max_pool2d(self.second(y), 2, stride=1)
        return nn.functional.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)


class Activations(nn.Module):
    """Every smooth activation, and two norms."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(16, 32), nn.Linear(32, 8)
        self.norm, self.groups = nn.LayerNorm(32), nn.GroupNorm(4, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.first(x))
        y = nn.functional.gelu(y) + nn.functional.silu(y) * torch.tanh(y) + nn.functional.gelu(y, approximate="tanh")
        found: Tensor = self.groups(self.second(y))
        return found


class Shared(nn.Module):
    """Takes a matrix in whatever strides it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.linear(x)
        return y, y @ x


def mask(batch: int, length: int) -> Tensor:
    seen = torch.rand(batch, length, length) > 0.3
    seen[0, 1] = False
    return seen


not_finite = Case(
    model=lambda: generic_weights(NotFinite()),
    inputs={"four": lambda: (torch.randn(4, 8),), "six": lambda: (torch.randn(6, 8),)},
    dynamic_shapes={"x": {0: "batch"}},
)
large_integers = Case(
    model=lambda: generic_weights(LargeIntegers()),
    inputs={
        "two": lambda: (torch.randint(2, 9999, (2, 6)),),
        "other_two": lambda: (torch.randint(2, 9999, (2, 6)),),
        "five": lambda: (torch.randint(2, 9999, (5, 6)),),
    },
    dynamic_shapes={"ids": {0: "batch"}},
)
spectrum = Case(
    model=lambda: generic_weights(Spectrum()),
    inputs={"four": lambda: (torch.randn(4, 16),), "other_four": lambda: (torch.randn(4, 16),)},
)
largest = Case(
    model=lambda: generic_weights(Largest()),
    inputs={"four": lambda: (torch.randn(4, 16),), "seven": lambda: (torch.randn(7, 16),)},
    dynamic_shapes={"x": {0: "batch"}},
)
selected = Case(
    model=lambda: generic_weights(Selected()),
    inputs={"four": lambda: (torch.randn(4, 8),), "seven": lambda: (torch.randn(7, 8),)},
    dynamic_shapes={"x": {0: "batch"}},
)
single = Case(
    model=lambda: generic_weights(Single()),
    inputs={"four": lambda: (torch.randn(4, 8),), "other_four": lambda: (torch.randn(4, 8),)},
    dynamic_shapes={"x": {0: "batch"}},
)
masked = Case(
    model=lambda: generic_weights(Masked()),
    inputs={
        "two": lambda: (torch.randn(2, 6, 16), mask(2, 6)),
        "other_two": lambda: (torch.randn(2, 6, 16), mask(2, 6)),
        "three_longer": lambda: (torch.randn(3, 9, 16), mask(3, 9)),
    },
    dynamic_shapes={"x": {0: "batch", 1: "length"}, "mask": {0: "batch", 1: "length", 2: "length"}},
)
pixels = Case(
    model=lambda: generic_weights(Pixels()),
    inputs={"pair": lambda: (torch.rand(2, 3, 17, 22),), "other_pair": lambda: (torch.rand(2, 3, 17, 22),)},
    dynamic_shapes={"x": {0: "batch"}},
)
activations = Case(
    model=lambda: generic_weights(Activations()),
    inputs={"four": lambda: (torch.randn(4, 16),), "seven": lambda: (torch.randn(7, 16),)},
    dynamic_shapes={"x": {0: "batch"}},
)
transposed = Case(
    model=lambda: generic_weights(Shared()),
    inputs={
        "transposed": lambda: (torch.randn(6, 6).t(),),
        "row_major": lambda: (torch.randn(6, 6),),
    },
)
