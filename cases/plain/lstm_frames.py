"""An LSTM that is fed frame by frame: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997."""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, Sequence, generic_weights


class Frames(nn.Module):
    """One frame and the state in, what follows from it and the next state out."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.LSTMCell(12, 24)
        self.second = nn.LSTMCell(24, 24)
        self.head = nn.Linear(24, 7)

    def forward(self, frame: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Frame (batch, 12); h and c (2, batch, 24), a layer each."""
        h0, c0 = self.first(frame, (h[0], c[0]))
        h1, c1 = self.second(h0, (h[1], c[1]))
        return self.head(h1), torch.stack((h0, h1)), torch.stack((c0, c1))


def frames(batch: int) -> dict[str, Tensor]:
    return {
        "frame": torch.randn(batch, 12),
        "h": 0.3 * torch.randn(2, batch, 24),
        "c": 0.5 * torch.randn(2, batch, 24),
    }


case = Case(
    model=lambda: generic_weights(Frames()),
    inputs={"three": lambda: frames(3), "five": lambda: frames(5)},
    dynamic_shapes={"frame": {0: "batch"}, "h": {1: "batch"}, "c": {1: "batch"}},
    sequence=Sequence(
        carry={"h": 1, "c": 2},
        steps=12,
        # The first one begins at rest.
        inputs=lambda step: {
            "frame": torch.randn(3, 12),
            **({"h": torch.zeros(2, 3, 24), "c": torch.zeros(2, 3, 24)} if step == 0 else {}),
        },
    ),
    tags=("plain", "recurrent"),
    paper="Hochreiter and Schmidhuber 1997",
)
