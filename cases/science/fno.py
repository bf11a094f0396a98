"""FNO: Li et al., Fourier Neural Operator for Parametric Partial Differential Equations, 2020, arXiv:2010.08895.

A Fourier transform of real numbers, complex weights on its low modes, and the way back, on grids of any size.
"""

import torch
from torch import Tensor, nn
from torch.export import Dim

from pytest_modelconform import Case, generic_weights

MODES = 4


class SpectralConv(nn.Module):
    """Multiplies the lowest modes by complex weights: (batch, width, height, width), as in and out."""

    def __init__(self, width: int, modes: int) -> None:
        super().__init__()
        self.modes = modes
        self.positive = nn.Parameter(torch.rand(width, width, modes, modes, dtype=torch.cfloat))
        self.negative = nn.Parameter(torch.rand(width, width, modes, modes, dtype=torch.cfloat))

    def forward(self, x: Tensor) -> Tensor:
        m = self.modes
        modes = torch.fft.rfft2(x)
        out = torch.zeros_like(modes)
        out[:, :, :m, :m] = torch.einsum("bixy,ioxy->boxy", modes[:, :, :m, :m], self.positive)
        out[:, :, -m:, :m] = torch.einsum("bixy,ioxy->boxy", modes[:, :, -m:, :m], self.negative)
        return torch.fft.irfft2(out, s=(x.size(-2), x.size(-1)))


class FNO(nn.Module):
    """A coefficient on a grid (batch, 1, height, width) → the solution there, of the same shape."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.lift = nn.Conv2d(3, width, 1)
        self.spectral = nn.ModuleList([SpectralConv(width, MODES) for _ in range(2)])
        self.local = nn.ModuleList([nn.Conv2d(width, width, 1) for _ in range(2)])
        self.project = nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.GELU(), nn.Conv2d(2 * width, 1, 1))

    def grid(self, a: Tensor) -> Tensor:
        """The place of each point, from 0 to 1: (batch, 2, height, width)."""
        batch, _, height, width = a.shape
        rows = torch.linspace(0, 1, height, device=a.device).view(1, 1, height, 1).expand(batch, 1, height, width)
        columns = torch.linspace(0, 1, width, device=a.device).view(1, 1, 1, width).expand(batch, 1, height, width)
        return torch.cat((rows, columns), 1)

    def forward(self, a: Tensor) -> Tensor:
        x = self.lift(torch.cat((a, self.grid(a)), 1))
        for spectral, local in zip(self.spectral, self.local, strict=True):
            x = nn.functional.gelu(spectral(x) + local(x))
        return self.project(x)


def two_phases(height: int, width: int) -> tuple[Tensor]:
    """Two materials with a wavy border, 12 and 3, as in the paper's Darcy flow."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    inside = rows + 0.2 * (9 * columns).sin() > 0.5
    return (torch.where(torch.stack((inside, inside.flip(0))), 12.0, 3.0)[:, None],)


inputs = {"three": lambda: (torch.randn(3, 1, 16, 12),), "two_phases": lambda: two_phases(13, 20)}

fno = Case(
    model=lambda: generic_weights(FNO()),
    inputs=inputs,
    # Twice the modes at least, so that positive and negative ones don't overlap.
    dynamic_shapes={"a": {0: "batch", 2: Dim("height", min=2 * MODES), 3: Dim("width", min=2 * MODES)}},
    tags=("science", "fft", "complex"),
    paper="arXiv:2010.08895",
)
fno_one_grid = Case(
    model=lambda: generic_weights(FNO()),
    inputs={"three": inputs["three"], "two_phases": lambda: two_phases(16, 12)},
    dynamic_shapes={"a": {0: "batch"}},
    tags=("science", "fft", "complex"),
    paper="arXiv:2010.08895",
)
