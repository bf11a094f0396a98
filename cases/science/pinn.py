"""PINN: Raissi et al., Physics Informed Deep Learning (Part I), 2017, arXiv:1711.10561.

The model returns u and how far it is from solving Burgers' equation, so it takes derivatives of itself, twice: by
autograd, as the paper's code does, and by torch.func.
"""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights

VISCOSITY = 0.01 / torch.pi


class Net(nn.Module):
    """Takes x and t (points,) → u (points,)."""

    def __init__(self, width: int = 20) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.layers(torch.stack((x, t), -1)).squeeze(-1)


def derivative(of: Tensor, by: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(of, by, torch.ones_like(of), create_graph=True)
    return found


class Autograd(nn.Module):
    """Takes x and t (points,) → u and the residual (points,)."""

    def __init__(self) -> None:
        super().__init__()
        self.u = Net()

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x, t = x.detach().requires_grad_(), t.detach().requires_grad_()
            u = self.u(x, t)
            u_x = derivative(u, x)
            residual = derivative(u, t) + u * u_x - VISCOSITY * derivative(u_x, x)
        return u.detach(), residual.detach()


class Func(nn.Module):
    """The same by transforming the network, one point at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.u = Net()

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        slope = torch.func.grad(self.u, 0)
        u_x, u_t = torch.vmap(slope)(x, t), torch.vmap(torch.func.grad(self.u, 1))(x, t)
        u_xx = torch.vmap(torch.func.grad(slope, 0))(x, t)
        u = self.u(x, t)
        return u, u_t + u * u_x - VISCOSITY * u_xx


def grid(places: int, times: int) -> tuple[Tensor, Tensor]:
    x, t = torch.meshgrid(torch.linspace(-1, 1, places), torch.linspace(0, 1, times), indexing="ij")
    return x.flatten(), t.flatten()


inputs = {"random": lambda: (2 * torch.rand(10) - 1, torch.rand(10)), "grid": lambda: grid(6, 4)}
shapes = {"x": {0: "points"}, "t": {0: "points"}}

pinn = Case(
    model=lambda: generic_weights(Autograd()),
    inputs=inputs,
    dynamic_shapes=shapes,
    tags=("science", "autograd"),
    paper="arXiv:1711.10561",
)
pinn_func = Case(
    model=lambda: generic_weights(Func()),
    inputs=inputs,
    dynamic_shapes=shapes,
    tags=("science", "autograd"),
    paper="arXiv:1711.10561",
)
