"""NeRF: Mildenhall et al., Representing Scenes as Neural Radiance Fields for View Synthesis, 2020, arXiv:2003.08934.

Rays in, colours out: a coarse net says where along a ray the fine one looks, by its cumulative distribution
(cumprod, cumsum, searchsorted, gather, sort).
"""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights

NEAR, FAR = 2.0, 6.0
COARSE, FINE = 8, 6  # samples along a ray


def encoded(x: Tensor, octaves: int) -> Tensor:
    """The coordinates beside their sines and cosines of rising frequencies: (..., 3) → (..., 3 + 6 * octaves)."""
    angles = x[..., None] * 2.0 ** torch.arange(octaves, device=x.device)
    return torch.cat([x, angles.sin().flatten(-2), angles.cos().flatten(-2)], -1)


class Field(nn.Module):
    """Colour and density at points seen from a direction: two of (..., 3) → (..., 4)."""

    def __init__(self, width: int = 24, octaves: int = 4, octaves_of_direction: int = 2) -> None:
        super().__init__()
        self.octaves, self.octaves_of_direction = octaves, octaves_of_direction
        c_point, c_direction = 3 + 6 * octaves, 3 + 6 * octaves_of_direction
        self.first = nn.Sequential(nn.Linear(c_point, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.second = nn.Sequential(nn.Linear(c_point + width, width), nn.ReLU())  # the skip connection
        self.density, self.feature = nn.Linear(width, 1), nn.Linear(width, width)
        self.view = nn.Sequential(nn.Linear(width + c_direction, width // 2), nn.ReLU())
        self.colour = nn.Linear(width // 2, 3)

    def forward(self, points: Tensor, directions: Tensor) -> Tensor:
        x = encoded(points, self.octaves)
        h = self.second(torch.cat([x, self.first(x)], -1))
        view = self.view(torch.cat([self.feature(h), encoded(directions, self.octaves_of_direction)], -1))
        return torch.cat([self.colour(view).sigmoid(), self.density(h).relu()], -1)


def composited(field: Tensor, depths: Tensor) -> tuple[Tensor, Tensor]:
    """The colour of each ray, and the weights of its samples: (rays, samples, 4) and (rays, samples)."""
    distances = torch.cat([depths[:, 1:] - depths[:, :-1], torch.full_like(depths[:, :1], 1e10)], 1)
    alpha = 1 - torch.exp(-field[..., 3] * distances)
    passing = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha + 1e-10], 1), 1)[:, :-1]
    weights = alpha * passing
    return (weights[..., None] * field[..., :3]).sum(1), weights


def drawn(middles: Tensor, weights: Tensor, count: int) -> Tensor:
    """Depths where the weights are, evenly spaced in their distribution: (rays, count)."""
    weights = weights + 1e-5
    cdf = torch.cumsum(weights / weights.sum(1, keepdim=True), 1)
    cdf = torch.cat([torch.zeros_like(cdf[:, :1]), cdf], 1)
    u = torch.linspace(0, 1, count, device=cdf.device).expand(cdf.size(0), count).contiguous()
    above = torch.searchsorted(cdf, u, right=True)
    below, above = (above - 1).clamp(min=0), above.clamp(max=cdf.size(1) - 1)
    cdf_below, cdf_above = cdf.gather(1, below), cdf.gather(1, above)
    gap = cdf_above - cdf_below
    part = (u - cdf_below) / torch.where(gap < 1e-5, torch.ones_like(gap), gap)
    low, high = middles.gather(1, below), middles.gather(1, above)
    return low + part * (high - low)


class NeRF(nn.Module):
    """Origins and directions of rays (rays, 3) → their colours, coarse and fine (rays, 3), and depth (rays,)."""

    def __init__(self) -> None:
        super().__init__()
        self.coarse, self.fine = Field(), Field()

    def forward(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        views = directions / directions.norm(dim=-1, keepdim=True)
        depths = torch.linspace(NEAR, FAR, COARSE, device=origins.device).expand(origins.size(0), COARSE)
        coarse, weights = composited(self.look(self.coarse, origins, directions, views, depths), depths)
        finer = drawn((depths[:, 1:] + depths[:, :-1]) / 2, weights[:, 1:-1].detach(), FINE)
        depths = torch.sort(torch.cat([depths, finer], 1), dim=1).values
        fine, weights = composited(self.look(self.fine, origins, directions, views, depths), depths)
        return coarse, fine, (weights * depths).sum(1)

    def look(self, field: nn.Module, origins: Tensor, directions: Tensor, views: Tensor, depths: Tensor) -> Tensor:
        points = origins[:, None] + directions[:, None] * depths[..., None]
        return field(points, views[:, None].expand_as(points))


def model() -> NeRF:
    """With fog that is thin enough for all samples of a ray to count."""
    nerf = generic_weights(NeRF())
    for field in (nerf.coarse, nerf.fine):
        field.density.weight.data *= 0.3
        field.density.bias.data += 0.3
    return nerf


def camera(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The rays of a picture, from a camera at (0, 0, 4) that looks down the z axis."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = (columns - width / 2) / width, (height / 2 - rows) / width
    directions = torch.stack((x, y, -torch.ones_like(x)), -1).view(-1, 3)
    return torch.tensor([0.0, 0.0, 4.0]).expand_as(directions).clone(), directions


case = Case(
    model=model,
    inputs={
        "random": lambda: (torch.randn(12, 3), torch.randn(12, 3)),
        "picture": lambda: camera(4, 6),
    },
    dynamic_shapes={"origins": {0: "rays"}, "directions": {0: "rays"}},
    tags=("vision", "gather"),
    paper="arXiv:2003.08934",
)
