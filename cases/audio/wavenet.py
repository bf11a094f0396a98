"""WaveNet: van den Oord et al., A Generative Model for Raw Audio, 2016, arXiv:1609.03499.

Two ways to run it: over a whole sound, and sample by sample with a queue for each layer (Le Paine et al., Fast Wavenet
Generation Algorithm, 2016, arXiv:1611.09482), whose state is a tuple of tensors of other lengths.
"""

import torch
from sounds import speech
from torch import Tensor, nn
from torch.nn import functional

from pytest_modelconform import Case, Sequence, generic_weights

LEVELS, WIDTH, SKIP, SPEAKERS = 64, 16, 24, 4
DILATIONS = (1, 2, 4, 8, 1, 2, 4, 8)


def companded(sound: Tensor) -> Tensor:
    """The mu-law: samples in -1 to 1 as whole numbers, 0 to LEVELS - 1."""
    scale = torch.tensor(LEVELS - 1.0)
    loud = sound.sign() * torch.log1p(scale * sound.abs().clamp(max=1)) / torch.log1p(scale)
    return ((loud + 1) / 2 * scale + 0.5).long()


class Layer(nn.Module):
    """A dilated convolution that sees the past only, with a gate that the speaker moves; then residual and skip."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.past = dilation
        self.dilated = nn.Conv1d(WIDTH, 2 * WIDTH, 2, dilation=dilation)
        self.speaker = nn.Linear(WIDTH, 2 * WIDTH, bias=False)
        self.residual = nn.Conv1d(WIDTH, WIDTH, 1)
        self.skip = nn.Conv1d(WIDTH, SKIP, 1)

    def forward(self, x: Tensor, before: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Takes x (batch, WIDTH, length) and what was before it (batch, WIDTH, dilation)."""
        both = self.dilated(torch.cat((before, x), 2)) + self.speaker(speaker)[:, :, None]
        signal, gate = both.chunk(2, 1)
        z = torch.tanh(signal) * torch.sigmoid(gate)
        return x + self.residual(z), self.skip(z)


class WaveNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(LEVELS, WIDTH)
        self.speakers = nn.Embedding(SPEAKERS, WIDTH)
        self.layers = nn.ModuleList(Layer(dilation) for dilation in DILATIONS)
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(SKIP, SKIP, 1), nn.ReLU(), nn.Conv1d(SKIP, LEVELS, 1))

    def forward(self, samples: Tensor, speaker: Tensor) -> Tensor:
        """Samples (batch, length) and speaker (batch,), int64; logits of each next sample (batch, LEVELS, length)."""
        x = self.embed(samples).transpose(1, 2)
        who = self.speakers(speaker)
        skips = []
        for layer in self.layers:
            x, skip = layer(x, functional.pad(x, (layer.past, 0))[:, :, : layer.past], who)
            skips.append(skip)
        return self.head(torch.stack(skips).sum(0))


class Step(WaveNet):
    """One sample in and the logits of the next one out."""

    def forward(self, sample: Tensor, speaker: Tensor, queues: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Sample and speaker (batch,), int64; each queue (batch, WIDTH, dilation): what its layer has seen last."""
        x = self.embed(sample)[:, :, None]
        who = self.speakers(speaker)
        total = torch.zeros(sample.shape[0], SKIP, 1, dtype=x.dtype)
        kept = []
        for layer, queue in zip(self.layers, queues, strict=True):
            kept.append(torch.cat((queue[:, :, 1:], x), 2))
            # The oldest sample is `dilation` steps back: without it the convolution would have nothing to reach.
            x, skip = layer(x, queue, who)
            total = total + skip
        return self.head(total)[:, :, 0], tuple(kept)


def queues(batch: int, scale: float) -> tuple[Tensor, ...]:
    return tuple(scale * torch.randn(batch, WIDTH, dilation) for dilation in DILATIONS)


def call(samples: tuple[int, ...], speakers: tuple[int, ...]) -> dict[str, object]:
    return {
        "sample": torch.tensor(samples),
        "speaker": torch.tensor(speakers),
        "queues": queues(len(samples), 0.5),
    }


def step(number: int) -> dict[str, object]:
    """Two speakers say what they said before; the first sample has silence before it."""
    found = {"sample": companded(speech(2, 400))[:, 150 + number], "speaker": torch.tensor([0, 3])}
    return found | ({"queues": queues(2, 0.0)} if number == 0 else {})


wavenet = Case(
    model=lambda: generic_weights(WaveNet()),
    inputs={
        "random": lambda: (torch.randint(LEVELS, (2, 50)), torch.tensor([1, 3])),
        "longer_speech": lambda: (companded(speech(3, 81)), torch.tensor([0, 2, 0])),
    },
    dynamic_shapes={"samples": {0: "batch", 1: "length"}, "speaker": {0: "batch"}},
    tags=("audio", "generative", "convolution"),
    paper="arXiv:1609.03499",
)
fast_wavenet = Case(
    model=lambda: generic_weights(Step()),
    inputs={
        "random": lambda: call((3, 60), (1, 3)),
        "three": lambda: call((0, 31, 9), (0, 2, 1)),
    },
    dynamic_shapes={"sample": {0: "batch"}, "speaker": {0: "batch"}, "queues": tuple({0: "batch"} for _ in DILATIONS)},
    sequence=Sequence(carry={"queues": 1}, steps=12, inputs=step),
    tags=("audio", "generative", "convolution", "cache"),
    paper="arXiv:1609.03499",
)
