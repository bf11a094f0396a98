"""FCPE: Luo et al., A Fast Context-based Pitch Estimation Model, 2025, arXiv:2509.15140.

Trained weights, from the sound to its pitch: a mel spectrum by Fourier transform, depthwise convolutions with gates,
360 sigmoids near 0, and a decoder that gathers around the largest and assigns by masks.
"""

import torch
from torch import Tensor, nn
from wheels import absent

from cases.audio.sounds import chirp, speech
from pytest_modelconform import Case

with absent("local_attention", "torchaudio"):
    from torchfcpe import spawn_bundled_infer_model


class Pitch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.whole = spawn_bundled_infer_model("cpu")

    def forward(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Sound (batch, samples) at 16 kHz; activations (batch, frames, 360) and pitch in Hz (batch, frames, 1)."""
        activations = self.whole.model(self.whole.wav2mel(sound[..., None], 16000))
        cents = self.whole.model.latent2cents_local_decoder(activations, threshold=0.006)
        return activations, self.whole.model.cent_to_f0(cents)


fcpe = Case(
    model=Pitch,
    inputs={
        "speech": lambda: (speech(2, 1920, 16000),),
        "longer_chirp": lambda: (chirp(1, 2700, 16000),),
        "noise": lambda: (0.1 * torch.randn(2, 2100),),
    },
    dynamic_shapes={"sound": {0: "batch", 1: torch.export.Dim("samples", min=1024, max=8000)}},
    tags=("trained", "audio", "convolution", "fft", "gather", "weight_norm"),
    paper="arXiv:2509.15140",
    requires=("torchfcpe", "einops"),
)
