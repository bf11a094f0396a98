"""A layer of a graph network: each node takes the mean of its neighbours' messages, by `scatter_reduce("mean")`."""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class Mean(nn.Module):
    """x (nodes, 8), source and target (edges,) → (nodes, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.message = nn.Linear(8, 12)
        self.out = nn.Linear(12, 4)

    def forward(self, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
        sent = torch.relu(self.message(x))[source]
        empty = torch.zeros_like(self.message(x))
        index = target[:, None].expand(-1, 12)
        mean: Tensor = self.out(empty.scatter_reduce(0, index, sent, "mean", include_self=False))
        return mean


def graph(nodes: int, edges: int) -> tuple[Tensor, ...]:
    return torch.randn(nodes, 8), torch.randint(0, nodes, (edges,)), torch.randint(0, nodes, (edges,))


scatter_mean = Case(
    model=lambda: generic_weights(Mean()),
    inputs={"six": lambda: graph(6, 15), "nine": lambda: graph(9, 30)},
    dynamic_shapes={"x": {0: "nodes"}, "source": {0: "edges"}, "target": {0: "edges"}},
)
