"""DLRM: Naumov et al., Deep Learning Recommendation Model for Personalization, 2019, arXiv:1906.00091.

Bags of varying length: EmbeddingBag takes the indices of all samples in a row, and where each sample's begin.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights

ROWS = (40, 25, 60)  # of the tables
WIDTH = 8


def perceptron(*widths: int) -> nn.Sequential:
    layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers)


class DLRM(nn.Module):
    """Looks up bags of categories, multiplies all pairs of features, and predicts whether somebody clicks."""

    def __init__(self) -> None:
        super().__init__()
        self.bottom = perceptron(13, 16, WIDTH)
        self.tables = nn.ModuleList([nn.EmbeddingBag(rows, WIDTH, mode="sum") for rows in ROWS])
        features = len(ROWS) + 1
        self.top = perceptron(WIDTH + features * (features - 1) // 2, 16)
        self.click = nn.Linear(16, 1)

    def forward(self, dense: Tensor, offsets: Tensor, indices: list[Tensor]) -> Tensor:
        """Takes dense (batch, 13), offsets (tables, batch), indices of each table in one row → (batch, 1)."""
        x = self.bottom(dense)
        bags = [table(indices[i], offsets[i]) for i, table in enumerate(self.tables)]
        features = torch.stack([x, *bags], 1)
        products = torch.bmm(features, features.transpose(1, 2))
        rows, columns = torch.tril_indices(features.size(1), features.size(1), offset=-1)
        return self.click(self.top(torch.cat([x, products[:, rows, columns]], 1))).sigmoid()


def bags(*lengths: tuple[int, ...]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """For each table the lengths of the samples' bags."""
    offsets = torch.tensor([[sum(row[:i]) for i in range(len(row))] for row in lengths])
    indices = [torch.randint(0, rows, (sum(row),)) for rows, row in zip(ROWS, lengths, strict=True)]
    return torch.randn(len(lengths[0]), 13), offsets, indices


def habits() -> tuple[Tensor, Tensor, list[Tensor]]:
    """Five people: counts as they are in logs, the first categories most often, some of them twice, and empty bags."""
    _, offsets, _ = bags((2, 0, 3, 1, 2), (1, 1, 1, 1, 0), (4, 2, 0, 0, 3))
    counts = (1 + torch.arange(5)[:, None] * torch.arange(13).square()).float().log()
    return counts, offsets, [torch.tensor([0, 0, 1, 2, 2, 0, 7, 0]), torch.arange(4), torch.arange(9) // 2]


case = Case(
    model=lambda: generic_weights(DLRM()),
    inputs={"three": lambda: bags((2, 1, 4), (1, 3, 2), (3, 0, 2)), "habits": habits},
    dynamic_shapes={
        "dense": {0: "batch"},
        "offsets": {1: "batch"},
        "indices": [{0: "first"}, {0: "second"}, {0: "third"}],
    },
    tags=("science", "embedding_bag"),
    paper="arXiv:1906.00091",
)
