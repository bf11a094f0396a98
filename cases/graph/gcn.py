"""GCN: Kipf and Welling, Semi-Supervised Classification with Graph Convolutional Networks, 2016, arXiv:1609.02907.

Messages to one node are added up by its index, and the degrees that weigh them are counted in the model.
"""

import torch
from graphs import ring, scattered
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class GraphConvolution(nn.Module):
    """The neighbours' features, weighed by both degrees: x (nodes, width_in) → (nodes, width_out)."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width_in, width_out, bias=False)
        self.bias = nn.Parameter(torch.zeros(width_out))

    def forward(self, x: Tensor, edges: Tensor, weights: Tensor) -> Tensor:
        source, target = edges[0], edges[1]
        x = self.linear(x)
        return torch.zeros_like(x).index_add_(0, target, weights[:, None] * x[source]) + self.bias


def normalised(edges: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """The edges with one from each node to itself, and 1 / sqrt(degree of source * degree of target)."""
    loops = torch.arange(nodes, device=edges.device)
    edges = torch.cat([edges, loops.expand(2, -1)], 1)
    source, target = edges[0], edges[1]
    degree = torch.zeros(nodes).scatter_add_(0, target, torch.ones(target.size(0)))
    factor = degree.pow(-0.5)
    return edges, factor[source] * factor[target]


class GCN(nn.Module):
    """Features x (nodes, 8), edges (2, edges) → log-probabilities of the classes (nodes, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = GraphConvolution(8, 16), GraphConvolution(16, 5)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        edges, weights = normalised(edges, x.size(0))
        x = self.dropout(self.first(x, edges, weights).relu())
        return self.second(x, edges, weights).log_softmax(1)


case = Case(
    model=lambda: generic_weights(GCN()),
    inputs={
        "scattered": lambda: scattered(9, 30, 8),
        "ring": lambda: ring(14, 8),
    },
    dynamic_shapes={"x": {0: "nodes"}, "edges": {1: "edges"}},
    tags=("graph", "scatter", "gather"),
    paper="arXiv:1609.02907",
)
