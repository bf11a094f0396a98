"""BeatNet: Heydari et al., CRNN and Particle Filtering for Online Beat and Meter Tracking, 2021, arXiv:2108.03576.

Trained weights. The package's module keeps the LSTM's state to itself from call to call; here it is passed, as a server
does that hears several songs.
"""

import torch
from BeatNet.model import BDA
from torch import Tensor, nn
from wheels import file_of

from pytest_modelconform import Case, Sequence

# A song at 50 frames a second: 136 bands, and how much each has risen.
BANDS, HIDDEN = 272, 150


class Beats(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = BDA(BANDS, HIDDEN, 2, "cpu")
        self.net.load_state_dict(torch.load(file_of("BeatNet", "models/model_1_weights.pt"), weights_only=True))

    def forward(self, frames: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Frames (batch, length, 272), state (2, batch, 150); logits of beat, downbeat, neither (batch, 3, length)."""
        self.net.hidden, self.net.cell = hidden, cell
        return self.net(frames), self.net.hidden, self.net.cell


def drums(batch: int, length: int, start: int = 0) -> Tensor:
    """A drum every 25 frames, a louder one every fourth time, that fade; the second half has the rises."""
    time = start + torch.arange(length)[:, None] + 3 * torch.arange(batch)[:, None, None]
    loud = torch.where(time // 25 % 4 == 0, 1.0, 0.5) * (-(time % 25) / 6.0).exp()
    bands = (-torch.arange(136) / torch.where(time // 25 % 4 == 0, 20.0, 60.0)).exp()
    return torch.cat((loud * bands, torch.where(time % 25 == 0, loud, 0.0) * bands), 2)


def call(frames: Tensor, scale: float) -> dict[str, Tensor]:
    hidden, cell = scale * torch.randn(2, 2, frames.shape[0], HIDDEN)
    return {"frames": frames, "hidden": hidden, "cell": cell}


def step(number: int) -> dict[str, Tensor]:
    now = drums(2, 4, start=20 + 4 * number)
    return call(now, 0.0) if number == 0 else {"frames": now}


beatnet = Case(
    model=Beats,
    inputs={"drums": lambda: call(drums(2, 12), 0.2), "noise": lambda: call(0.2 * torch.rand(3, 7, BANDS), 0.2)},
    dynamic_shapes={"frames": {0: "batch", 1: "length"}, "hidden": {1: "batch"}, "cell": {1: "batch"}},
    sequence=Sequence(carry={"hidden": 1, "cell": 2}, steps=8, inputs=step),
    tags=("trained", "audio", "recurrent"),
    paper="arXiv:2108.03576",
    requires=("BeatNet",),
)
