"""Perth: an inaudible watermark in speech, Resemble AI, 2024, https://github.com/resemble-ai/Perth.

Trained weights. The encoder adds to the lower bands of a spectrum in place, where it isn't silent. The decoder looks at
the spectrum at three speeds: stretched to sizes that Python computes from the length.
"""

import torch
from torch import Tensor, nn
from wheels import absent, file_of

from pytest_modelconform import Case

with absent("librosa", "pkg_resources", "torchaudio"):
    from perth.perth_net.perth_net_implicit.config import default_hp
    from perth.perth_net.perth_net_implicit.model.perth_net import PerthNet

BINS = 1025


def part(name: str) -> nn.Module:
    """The encoder or the decoder; what else is in the file belongs to the transforms between sound and spectrum."""
    saved = torch.load(file_of("perth", "perth_net/pretrained/implicit/perth_net_250000.pth.tar"), map_location="cpu")
    # The rest of the module would be torchaudio's.
    found = getattr(PerthNet(default_hp), name)
    weights = {key: value for key, value in saved["model"].items() if key.startswith(name)}
    found.load_state_dict({key.removeprefix(f"{name}."): value for key, value in weights.items()})
    return found


def speech_like(batch: int, frames: int) -> Tensor:
    """Harmonics that glide, with a pause in which nothing is heard: magnitudes (batch, 1025, frames)."""
    time = torch.arange(frames)
    pitch = 9 + batch + torch.arange(batch)[:, None, None] + 2 * (time / 4).sin()
    band = torch.arange(BINS)[:, None]
    voice = (6.28 * band / pitch).cos().clamp(min=0) ** 6 * (-band / 120).exp() * 40
    return voice * (time % 9 < 6) + 0.01 * torch.rand(batch, BINS, frames)


about = {
    "inputs": {"speech": lambda: (speech_like(2, 12),), "longer": lambda: (speech_like(3, 17),)},
    "dynamic_shapes": {"magspec": {0: "batch", 2: torch.export.Dim("frames", min=4, max=4000)}},
    "paper": "https://github.com/resemble-ai/Perth",
    "requires": ("resemble-perth", "scipy", "pyyaml"),
}

perth_encoder = Case(model=lambda: part("encoder"), tags=("trained", "audio", "convolution", "inplace"), **about)
perth_decoder = Case(model=lambda: part("decoder"), tags=("trained", "audio", "convolution", "interpolation"), **about)
