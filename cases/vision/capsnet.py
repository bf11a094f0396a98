"""CapsNet: Sabour et al., Dynamic Routing Between Capsules, 2017, arXiv:1710.09829.

Routing by agreement: a loop that weighs votes by a softmax, sums them, squashes the sums, and weighs them again.
"""

import torch
from pictures import photo
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


def squash(s: Tensor) -> Tensor:
    """Vectors along the last dimension, made shorter than 1."""
    square = (s * s).sum(-1, keepdim=True)
    return square / (1 + square) * s / (square + 1e-8).sqrt()


class Routing(nn.Module):
    """Capsules (batch, n_in, d_in) → (batch, n_out, d_out)."""

    def __init__(self, n_in: int, d_in: int, n_out: int, d_out: int, rounds: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.1 * torch.randn(n_in, n_out, d_out, d_in))
        self.rounds = rounds

    def forward(self, u: Tensor) -> Tensor:
        votes = torch.einsum("ijdk,bik->bijd", self.weight, u)
        logits = torch.zeros_like(votes[..., 0])
        for _ in range(self.rounds - 1):
            v = squash(torch.einsum("bij,bijd->bjd", logits.softmax(2), votes))
            logits = logits + torch.einsum("bijd,bjd->bij", votes, v)
        return squash(torch.einsum("bij,bijd->bjd", logits.softmax(2), votes))


class CapsNet(nn.Module):
    """Images (batch, 1, 20, 20) → lengths of the classes' capsules (batch, 10), the best one's picture."""

    def __init__(self) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(1, 16, 9)
        self.primary = nn.Conv2d(16, 4 * 8, 5, stride=2)
        self.digits = Routing(4 * 4 * 4, 8, 10, 8)
        self.decode = nn.Sequential(nn.Linear(10 * 8, 32), nn.ReLU(), nn.Linear(32, 400), nn.Sigmoid())

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.primary(self.convolve(image).relu())
        u = squash(x.view(x.size(0), 4, 8, 16).transpose(2, 3).reshape(x.size(0), 64, 8))
        digits = self.digits(u)
        lengths = digits.norm(dim=2)
        best = nn.functional.one_hot(lengths.argmax(1), 10).to(digits.dtype)
        return lengths, self.decode((digits * best[:, :, None]).flatten(1)).view_as(image)


case = Case(
    model=lambda: generic_weights(CapsNet()),
    inputs={
        "pair": lambda: (torch.rand(2, 1, 20, 20),),
        "photos": lambda: (photo(3, 20, 20, channels=1),),
    },
    dynamic_shapes={"image": {0: "batch"}},
    tags=("vision", "convolution", "control_flow"),
    paper="arXiv:1710.09829",
)
