"""Experts: Shazeer et al., Outrageously Large Neural Networks: The Sparsely-Gated MoE Layer, 2017, arXiv:1701.06538.

Each expert gets the tokens that chose it, so that sizes come from data, and results are added up by index.
"""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class Experts(nn.Module):
    """Each token of x (…, width) goes to the best few experts, and their results are weighted."""

    def __init__(self, width: int, experts: int, chosen: int) -> None:
        super().__init__()
        self.chosen = chosen
        self.gate = nn.Linear(width, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)) for _ in range(experts)
        )

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(0, -2)
        scores, choice = self.gate(tokens).topk(self.chosen, -1)
        weights = scores.softmax(-1)
        out = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            token, place = torch.where(choice == number)
            out.index_add_(0, token, weights[token, place, None] * expert(tokens[token]))
        return out.view_as(x)


class Model(nn.Module):
    """Between two LSTMs in the paper; here between two layers that mix neighbours. x is (batch, length, 24)."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.before, self.after = (nn.Conv1d(width, width, 3, padding=1) for _ in range(2))
        self.norm, self.experts = nn.LayerNorm(width), Experts(width, experts=4, chosen=2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.before(x.transpose(1, 2)).transpose(1, 2).relu()
        h = h + self.experts(self.norm(h))
        return self.after(h.transpose(1, 2)).transpose(1, 2)


def alike(batch: int, length: int) -> Tensor:
    """Neighbours that are nearly the same, so that some experts get many of them, and one may get none."""
    steps = (torch.arange(length) // 4)[:, None] * torch.linspace(0.2, 1.5, 24)
    return (steps + torch.arange(batch)[:, None, None]).sin() + 0.02 * torch.randn(batch, length, 24)


case = Case(
    model=lambda: generic_weights(Model()),
    inputs={"two": lambda: (torch.randn(2, 7, 24),), "three_alike": lambda: (alike(3, 12),)},
    dynamic_shapes={"x": {0: "batch", 1: "length"}},
    tags=("text", "experts", "dynamic_output", "scatter", "gather"),
    paper="arXiv:1701.06538",
)
