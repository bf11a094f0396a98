"""PESTO: Riou et al., Pitch Estimation with a Self-supervised Equivariant Objective, 2023, arXiv:2309.02265.

Trained weights, from the sound to its pitch: a constant-Q transform by convolution, read as complex numbers and changed
in place, a network whose last layer is a Toeplitz matrix, and a mean around the largest activation.
"""

import torch
from torch import Tensor, nn
from wheels import absent

from cases.audio.sounds import chirp, speech
from pytest_modelconform import Case

with absent("torchaudio", "tqdm", "matplotlib"):
    from pesto.loader import load_model


class Pitch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pesto = load_model("mir-1k_g7", step_size=10.0, sampling_rate=8000)

    def forward(self, sound: Tensor) -> dict[str, Tensor]:
        """Sound (batch, samples) at 8 kHz; each of the results (batch, frames), activations (batch, frames, 384)."""
        pitch, confidence, volume, activations = self.pesto(sound)
        return {"pitch": pitch, "confidence": confidence, "volume": volume, "activations": activations}


pesto = Case(
    model=Pitch,
    inputs={
        "speech": lambda: (speech(2, 1400),),
        "longer_chirp": lambda: (chirp(1, 1811),),
        "noise": lambda: (0.1 * torch.randn(2, 1500),),
    },
    # The transform reflects half of its window at both ends.
    dynamic_shapes={"sound": {0: "batch", 1: torch.export.Dim("samples", min=1025, max=8000)}},
    tags=("trained", "audio", "complex", "convolution", "gather"),
    paper="arXiv:2309.02265",
    requires=("pesto-pitch", "scipy"),
)
