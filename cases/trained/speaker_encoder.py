"""GE2E: Wan et al., Generalized End-to-End Loss for Speaker Verification, 2017, arXiv:1710.10467.

Trained weights (Resemblyzer): three LSTM layers over a mel spectrum, the last state, and a division by its norm.
"""

import torch
from torch import Tensor, nn
from wheels import absent

from pytest_modelconform import Case

with absent("librosa", "webrtcvad"):
    from resemblyzer.voice_encoder import VoiceEncoder


def model() -> nn.Module:
    return VoiceEncoder("cpu", verbose=False)


def voices(batch: int, frames: int) -> Tensor:
    """Mel spectra of buzzes whose pitch glides, with pauses: (batch, frames, 40), most of it near 0."""
    time = torch.arange(frames)[:, None]
    band = torch.arange(40)
    pitch = 6 + 2 * torch.arange(batch)[:, None, None] + 2 * (time / 9).sin()
    harmonics = torch.cos(band / pitch * 6.28).clamp(min=0) ** 4 * (-band / 12).exp()
    return 0.2 * harmonics * (time % 14 < 10)


resemblyzer = Case(
    model=model,
    inputs={"voices": lambda: (voices(2, 30),), "three_longer": lambda: (0.1 * torch.rand(3, 41, 40),)},
    dynamic_shapes={"mels": {0: "batch", 1: "frames"}},
    tags=("trained", "audio", "recurrent", "norm"),
    paper="arXiv:1710.10467",
    requires=("resemblyzer", "scipy"),
)
