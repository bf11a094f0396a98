"""Matrix factorisation: Koren et al., Matrix Factorization Techniques for Recommender Systems, 2009.

Look-ups, and the order of all items for each user.
"""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights

USERS, ITEMS, WIDTH = 40, 30, 12


class MatrixFactorisation(nn.Module):
    """Factors and biases of users and items → the ratings of pairs, and each user's three best items."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(USERS, WIDTH), nn.Embedding(ITEMS, WIDTH)
        self.user_bias, self.item_bias = nn.Embedding(USERS, 1), nn.Embedding(ITEMS, 1)
        self.register_buffer("mean", torch.tensor(3.53))

    def forward(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Takes users and items (pairs,) → ratings (pairs,), best items (pairs, 3)."""
        factors = self.user(users)
        biases = self.mean + self.user_bias(users).squeeze(-1)
        ratings = (factors * self.item(items)).sum(-1) + self.item_bias(items).squeeze(-1) + biases
        all_ratings = factors @ self.item.weight.T + self.item_bias.weight.T + biases[:, None]
        return ratings, all_ratings.topk(3).indices


case = Case(
    model=lambda: generic_weights(MatrixFactorisation()),
    inputs={
        "seven": lambda: (torch.randint(0, USERS, (7,)), torch.randint(0, ITEMS, (7,))),
        # One user after the other, and the last one again, with a few items that everybody knows.
        "in_order": lambda: (torch.arange(12).clamp(max=9), torch.arange(12) % 4),
    },
    dynamic_shapes={"users": {0: "pairs"}, "items": {0: "pairs"}},
    tags=("science", "gather"),
    paper="doi:10.1109/MC.2009.263",
)
