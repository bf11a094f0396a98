"""Cases of kinds that strangers bring and that were judged wrongly; test_strangers.py says what is right for each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import SwinTransformer, shufflenet_v2_x1_0
from torchvision.ops import RoIAlign

from pytest_modelconform import Case, generic_weights

IMAGES = {"two": lambda: (torch.rand(2, 3, 64, 64),)}


def drawn(seed: int, *shape: int) -> Tensor:
    """Numbers that no global seed changes."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Totals(nn.Module):
    """Reductions that see nothing of the order of their inputs."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: (n, m)."""
        return x.sum(), x.amax()


class Flags(nn.Module):
    """One output of four tells right from wrong; the others are constant for good reason."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """x: (n, 6)."""
        y = self.score(x)
        return {"scores": y, "overflow": torch.isinf(y), "steps": torch.full((3,), 4), "rest": y * 0}


class Quotient(nn.Module):
    """Constant in one set, informative in another."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: whole numbers."""
        return x * 5 - 1, x // 1000


class MeanOfPositives(nn.Module):
    """Means of 120 numbers of nearly one size, whose rounding errors are of one size, too; with an optional input."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.prompt = nn.Linear(2, 8)
        self.score = nn.Linear(8, 2)

    def forward(self, image: Tensor, points: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """image: (n, 3, h, w); points: (n, k, 2)."""
        features = torch.relu(self.stem(image)) + 3.0
        if points is not None:
            features = features + self.prompt(points).mean(1)[:, :, None, None]
        pooled = features.mean((2, 3))
        return self.score(pooled), pooled


class Detector(nn.Module):
    """So many rows for each image of a batch, by a loop that tracing unrolls for the batch it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 3)

    def forward(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """boxes: (batch, n, 5) → rows (batch, 6, 3), zeros where there are fewer, and how many there are."""
        scores = self.head(boxes)
        rows = torch.zeros(boxes.shape[0], 6, 3)
        counts = torch.zeros(boxes.shape[0], dtype=torch.int64)
        for i in range(boxes.shape[0]):
            order = scores[i, :, 0].argsort(descending=True)
            kept = scores[i][order][:6]
            rows[i, : kept.shape[0]] = kept
            counts[i] = kept.shape[0]
        return rows, counts


class RoiHead(nn.Module):
    """Pools boxes whose corners are exact numbers: no runtime's rounding moves one over a sample's edge."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = RoIAlign((3, 2), spatial_scale=0.5, sampling_ratio=-1, aligned=True)
        self.classes = nn.Linear(4 * 3 * 2, 5)

    def forward(self, features: Tensor, rois: Tensor) -> Tensor:
        """features: (batch, 4, h, w); rois: (n, 5), of which the first is the image."""
        classes: Tensor = self.classes(self.pool(features, rois).flatten(1))
        return classes


def rois(batch: int, count: int) -> tuple[Tensor, Tensor]:
    """Features, and boxes on quarters of a pixel."""
    corner = torch.randint(1, 70, (count, 2)) / 4
    size = torch.randint(81, 110, (count, 2)) / 4
    image = torch.randint(0, batch, (count, 1)).float()
    return torch.randn(batch, 4, 24, 30), torch.cat([image, corner, corner + size], 1)


class Gain(nn.Module):
    """One learnt factor a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x: (n, channels)."""
        return x * self.scale


def with_gain() -> nn.Module:
    """Weight norm over a vector, dim=0: each element by itself, that is, its sign."""
    normed = nn.utils.parametrizations.weight_norm(Gain(16), "scale", dim=0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), normed, nn.Linear(16, 3))


def small_swin() -> nn.Module:
    """As swin_t, with windows that are shifted and patches that are merged, but two stages of a third of its width."""
    return SwinTransformer([4, 4], 32, [2, 2], [2, 4], [7, 7])


totals = Case(model=Totals, inputs={"a": lambda: (drawn(1, 4, 3),), "b": lambda: (drawn(2, 4, 3),)})
flags = Case(
    model=Flags,
    inputs={"two": lambda: (drawn(3, 2, 6),), "five": lambda: (drawn(4, 5, 6),)},
    dynamic_shapes={"x": {0: "n"}},
)
quotient = Case(model=Quotient, inputs={"small": lambda: (torch.arange(6),), "big": lambda: (torch.arange(6) * 7001,)})
sometimes_points = Case(
    model=lambda: generic_weights(MeanOfPositives()),
    inputs={
        "with": lambda: {"image": torch.randn(2, 3, 10, 12), "points": torch.rand(2, 4, 2)},
        "without": lambda: {"image": torch.randn(2, 3, 10, 12), "points": None},
    },
)
detector = Case(
    model=lambda: generic_weights(Detector()),
    inputs={"two": lambda: (torch.randn(2, 9, 5),), "three": lambda: (torch.randn(3, 9, 5),)},
    dynamic_shapes={"boxes": {0: "batch"}},
)
roi_head = Case(
    model=lambda: generic_weights(RoiHead()),
    inputs={"five": lambda: rois(2, 5), "eight": lambda: rois(3, 8)},
    dynamic_shapes={"features": {0: "batch"}, "rois": {0: "n"}},
)
gain = Case(
    model=lambda: generic_weights(with_gain()),
    inputs={"four": lambda: (torch.randn(4, 6),), "seven": lambda: (torch.randn(7, 6),)},
    dynamic_shapes={"input": {0: "batch"}},
)
shufflenet = Case(model=lambda: shufflenet_v2_x1_0(), inputs=IMAGES, fixed_inputs="takes half a minute a set")
swin = Case(model=lambda: small_swin(), inputs=IMAGES, fixed_inputs="takes half a minute a set")
