"""Is somebody speaking? Sound in chunks, as Silero VAD takes it: https://github.com/snakers4/silero-vad, version 5."""

import math

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, Sequence, generic_weights

CHUNK, CONTEXT = 128, 16  # samples; the context is the end of the chunk before
WINDOW, HOP, BINS = 64, 32, 33
WIDTH = 32


class Streaming(nn.Module):
    """A short Fourier transform by convolution, convolutions, an LSTM cell that keeps its state, and a probability."""

    def __init__(self) -> None:
        super().__init__()
        # Script knows the numbers of a module, and none of the file.
        self.bins, self.hop, self.context = BINS, HOP, CONTEXT
        angles = 2 * math.pi * torch.arange(BINS)[:, None] * torch.arange(WINDOW) / WINDOW
        basis = torch.cat((angles.cos(), angles.sin())) * torch.hann_window(WINDOW)
        self.register_buffer("basis", basis[:, None])
        self.encoder = nn.Sequential(
            nn.Conv1d(BINS, WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.memory = nn.LSTMCell(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, chunk: Tensor, context: Tensor, state: Tensor) -> dict[str, Tensor]:
        """Takes chunk (batch, 128), sound; context (batch, 16); state (2, batch, 32), hidden and cell."""
        sound = torch.cat((context, chunk), 1)
        both = nn.functional.conv1d(sound[:, None], self.basis, stride=self.hop)
        power = both[:, : self.bins].square() + both[:, self.bins :].square()
        features = self.encoder((power + 1e-6).sqrt()).mean(2)
        h, c = self.memory(features, (state[0], state[1]))
        return {
            "speech": self.head(h.relu()).sigmoid(),
            "context": sound[:, -self.context :].clone(),
            "state": torch.stack((h, c)),
        }


def chunks(batch: int) -> dict[str, Tensor]:
    return {
        "chunk": 0.3 * torch.randn(batch, CHUNK),
        "context": 0.3 * torch.randn(batch, CONTEXT),
        "state": 0.3 * torch.randn(2, batch, WIDTH),
    }


def chunk(step: int) -> dict[str, Tensor]:
    """Two sounds that rise in pitch, chunk after chunk; the first one has nothing before it."""
    time = (step * CHUNK + torch.arange(CHUNK)) / 8000
    pitch = torch.tensor([[150.0], [410.0]]) * (1 + 0.1 * step)
    found = {"chunk": 0.4 * (2 * math.pi * pitch * time).sin() + 0.02 * torch.randn(2, CHUNK)}
    if step == 0:
        found |= {"context": torch.zeros(2, CONTEXT), "state": torch.zeros(2, 2, WIDTH)}
    return found


case = Case(
    model=lambda: generic_weights(Streaming()),
    inputs={"two": lambda: chunks(2), "three": lambda: chunks(3)},
    dynamic_shapes={"chunk": {0: "batch"}, "context": {0: "batch"}, "state": {1: "batch"}},
    sequence=Sequence(carry={"context": "context", "state": "state"}, steps=8, inputs=chunk),
    tags=("audio", "recurrent"),
    paper="https://github.com/snakers4/silero-vad",
)
