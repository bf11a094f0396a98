"""GAT: Veličković et al., Graph Attention Networks, 2017, arXiv:1710.10903.

A softmax over the edges of each node: a maximum, a sum and two look-ups by index, for every head.
"""

import torch
from graphs import ring, scattered
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


def softmax_by_target(scores: Tensor, target: Tensor, nodes: int) -> Tensor:
    """The softmax of scores (edges, heads) among the edges with the same target."""
    index = target[:, None].expand_as(scores)
    largest = scores.new_zeros(nodes, scores.size(1)).scatter_reduce(0, index, scores, "amax", include_self=False)
    scores = (scores - largest.index_select(0, target)).exp()
    total = scores.new_zeros(nodes, scores.size(1)).scatter_add(0, index, scores)
    return scores / (total.index_select(0, target) + 1e-16)


class Attention(nn.Module):
    """Heads that weigh their neighbours: x (nodes, width_in) → (nodes, heads, width_out)."""

    def __init__(self, width_in: int, heads: int, width_out: int) -> None:
        super().__init__()
        self.heads, self.width_out = heads, width_out
        self.linear = nn.Linear(width_in, heads * width_out, bias=False)
        self.from_source = nn.Parameter(torch.zeros(heads, width_out))
        self.from_target = nn.Parameter(torch.zeros(heads, width_out))
        self.bias = nn.Parameter(torch.zeros(heads, width_out))

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        source, target = edges[0], edges[1]
        x = self.linear(x).view(-1, self.heads, self.width_out)
        scores = (x * self.from_source).sum(-1)[source] + (x * self.from_target).sum(-1)[target]
        weights = softmax_by_target(nn.functional.leaky_relu(scores, 0.2), target, x.size(0))
        messages = x[source] * weights[..., None]
        return torch.zeros_like(x).index_add(0, target, messages) + self.bias


class GAT(nn.Module):
    """Features x (nodes, 8), edges (2, edges) → the classes' scores (nodes, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Attention(8, 4, 6), Attention(24, 2, 5)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        x = nn.functional.elu(self.first(x, edges).flatten(1))  # heads side by side, but in the last layer their mean
        return self.second(x, edges).mean(1)


case = Case(
    model=lambda: generic_weights(GAT()),
    inputs={
        "scattered": lambda: scattered(9, 30, 8),
        "ring": lambda: ring(14, 8),
    },
    dynamic_shapes={"x": {0: "nodes"}, "edges": {1: "edges"}},
    tags=("graph", "attention", "scatter", "gather"),
    paper="arXiv:1710.10903",
)
