"""Neural ODE: Chen et al., Neural Ordinary Differential Equations, 2018, arXiv:1806.07366.

A solver (Runge and Kutta's, of order 4) calls the network over and over, with times that are an input.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class Dynamics(nn.Module):
    """dy/dt at a time, of y (batch, 2)."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(3, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 2)
        )

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(torch.cat((y, t.expand(y.size(0), 1)), 1))


def odeint(f: Callable[[Tensor, Tensor], Tensor], y: Tensor, times: Tensor) -> Tensor:
    """The solution at each of the times, from y at the first one: (times, batch, 2), a step for each but the first."""
    solution = [y]
    for start, end in pairwise(times):
        step = end - start
        k1 = f(start, y)
        k2 = f(start + step / 2, y + step / 2 * k1)
        k3 = f(start + step / 2, y + step / 2 * k2)
        k4 = f(end, y + step * k3)
        y = y + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        solution.append(y)
    return torch.stack(solution)


class NeuralODE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dynamics = Dynamics()

    def forward(self, y: Tensor, times: Tensor) -> Tensor:
        """Takes y (batch, 2), and the times (5,) → trajectories (5, batch, 2)."""
        return odeint(self.dynamics, y, times)


def circle(points: int) -> Tensor:
    angles = 2 * torch.pi * torch.arange(points) / points
    return torch.stack((angles.cos(), angles.sin()), 1)


case = Case(
    model=lambda: generic_weights(NeuralODE()),
    inputs={
        "random": lambda: (torch.randn(3, 2), torch.rand(5).cumsum(0)),
        "circle": lambda: (circle(8), torch.linspace(0, 1, 5)),
        "backwards": lambda: (circle(5), torch.tensor([1.0, 0.75, 0.7, 0.2, 0.0])),
    },
    # The number of times is that of the loop, which is part of the program.
    dynamic_shapes={"y": {0: "batch"}, "times": None},
    tags=("science", "control_flow"),
    paper="arXiv:1806.07366",
)
