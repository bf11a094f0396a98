"""AlphaZero: Silver et al., Mastering Chess and Shogi by Self-Play …, 2017, arXiv:1712.01815.

A residual tower with two heads: what to play, where forbidden moves are masked by -inf, and who wins.
"""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights

PLANES, MOVES = 17, 4  # what is on the board; moves from each square (73 in chess)


class Residual(nn.Module):
    """Two convolutions and what goes past them."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.norm2 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))).relu()


class AlphaZero(nn.Module):
    """Boards (batch, planes, 8, 8), legal moves (batch, moves * 64), bool → probabilities of moves, who wins."""

    def __init__(self, c: int = 32, blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(PLANES, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU())
        self.tower = nn.Sequential(*(Residual(c) for _ in range(blocks)))
        self.policy = nn.Sequential(
            nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, MOVES, 1), nn.Flatten()
        )
        self.value = nn.Sequential(
            nn.Conv2d(c, 1, 1, bias=False),
            nn.BatchNorm2d(1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64, 32),
            nn.ReLU(),
            nn.Linear(32, 1),
            nn.Tanh(),
        )

    def forward(self, board: Tensor, legal: Tensor) -> dict[str, Tensor]:
        x = self.tower(self.stem(board))
        policy = self.policy(x).masked_fill(~legal, float("-inf")).softmax(1)
        return {"policy": policy, "value": self.value(x).squeeze(1)}


def noise(batch: int) -> dict[str, Tensor]:
    return {"board": torch.rand(batch, PLANES, 8, 8), "legal": torch.rand(batch, MOVES * 64) < 0.5}


def opening(batch: int) -> dict[str, Tensor]:
    """Two rows of pieces on each side, one kind in each plane; pawns may move; the last plane says whose turn it is."""
    board = torch.zeros(batch, PLANES, 8, 8)
    for plane, row in enumerate((0, 1, 6, 7)):
        board[:, plane, row] = 1
    board[:, -1] = (torch.arange(batch) % 2)[:, None, None]
    legal = torch.zeros(batch, MOVES, 8, 8, dtype=torch.bool)
    legal[:, :2, 6] = True
    return {"board": board, "legal": legal.flatten(1)}


case = Case(
    model=lambda: generic_weights(AlphaZero()),
    inputs={"pair": lambda: noise(2), "openings": lambda: opening(3)},
    dynamic_shapes={"board": {0: "batch"}, "legal": {0: "batch"}},
    tags=("vision", "convolution"),
    paper="arXiv:1712.01815",
)
