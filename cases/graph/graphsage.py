"""GraphSAGE: Hamilton et al., Inductive Representation Learning on Large Graphs, 2017, arXiv:1706.02216.

The mean and the maximum over the edges that share a target: duplicate indices, and nodes that nothing reaches.
"""

import torch
from graphs import ring, scattered
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class Aggregation(nn.Module):
    """A node's own features and those of its neighbours, reduced: x (nodes, width_in) → (nodes, width_out)."""

    def __init__(self, reduce: str, width_in: int, width_out: int) -> None:
        super().__init__()
        self.reduce = reduce
        # The paper's pooling has a layer of its own, its mean has none.
        self.pool = nn.Sequential(nn.Linear(width_in, width_in), nn.ReLU()) if reduce == "amax" else nn.Identity()
        self.own = nn.Linear(width_in, width_out)
        self.neighbours = nn.Linear(width_in, width_out, bias=False)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        messages = self.pool(x)[edges[0]]
        target = edges[1][:, None].expand_as(messages)
        reduced = torch.zeros_like(x).scatter_reduce(0, target, messages, self.reduce, include_self=False)
        return self.own(x) + self.neighbours(reduced)


class GraphSAGE(nn.Module):
    """Features x (nodes, 8), edges (2, edges) → embeddings of length 1 (nodes, 6)."""

    def __init__(self, reduce: str) -> None:
        super().__init__()
        self.first, self.second = Aggregation(reduce, 8, 16), Aggregation(reduce, 16, 6)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        x = nn.functional.normalize(self.first(x, edges).relu(), dim=1)
        return nn.functional.normalize(self.second(x, edges), dim=1)


inputs = {"scattered": lambda: scattered(9, 30, 8), "ring": lambda: ring(14, 8)}
shapes = {"x": {0: "nodes"}, "edges": {1: "edges"}}

graphsage_mean = Case(
    model=lambda: generic_weights(GraphSAGE("mean")),
    inputs=inputs,
    dynamic_shapes=shapes,
    tags=("graph", "scatter", "gather"),
    paper="arXiv:1706.02216",
)
graphsage_max = Case(
    model=lambda: generic_weights(GraphSAGE("amax")),
    inputs=inputs,
    dynamic_shapes=shapes,
    tags=("graph", "scatter", "gather"),
    paper="arXiv:1706.02216",
)
