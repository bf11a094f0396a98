"""DeepSets: Zaheer et al., Deep Sets, 2017, arXiv:1703.06114; on padded point clouds.

A masked maximum in layers that keep the order of points, and a sum that forgets it.
"""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class Equivariant(nn.Module):
    """Each point beside the largest of its set: x (sets, points, width_in) → (sets, points, width_out)."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.own, self.largest = nn.Linear(width_in, width_out), nn.Linear(width_in, width_out, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        largest = x.masked_fill(~mask[..., None], float("-inf")).max(1, keepdim=True).values
        return self.own(x) - self.largest(largest)


class DeepSets(nn.Module):
    """Points (sets, points, 3), mask (sets, points), true where there is one → classes (sets, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.phi = nn.ModuleList([Equivariant(3, 24), Equivariant(24, 24)])
        self.rho = nn.Sequential(nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 8))

    def forward(self, points: Tensor, mask: Tensor) -> Tensor:
        for layer in self.phi:
            points = layer(points, mask).tanh()
        return self.rho((points * mask[..., None]).sum(1))


def noise(*sizes: int) -> tuple[Tensor, Tensor]:
    """A set of each size, padded to the largest."""
    mask = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
    return torch.randn(*mask.shape, 3) * mask[..., None], mask


def shapes(*sizes: int) -> tuple[Tensor, Tensor]:
    """A helix of each size, the next one wider than the last, with every point in the padding at the origin."""
    _, mask = noise(*sizes)
    turn = 0.7 * torch.arange(max(sizes))
    helix = torch.stack((turn.cos(), turn.sin(), 0.1 * turn), 1)
    return (1 + torch.arange(len(sizes)))[:, None, None] * helix * mask[..., None], mask


case = Case(
    model=lambda: generic_weights(DeepSets()),
    inputs={"two": lambda: noise(12, 7), "three_helices": lambda: shapes(9, 20, 15)},
    dynamic_shapes={"points": {0: "sets", 1: "points"}, "mask": {0: "sets", 1: "points"}},
    tags=("science", "masking"),
    paper="arXiv:1703.06114",
)
