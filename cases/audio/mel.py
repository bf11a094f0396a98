"""Mel cepstra: Davis and Mermelstein, Comparison of Parametric Representations, 1980, 10.1109/TASSP.1980.1163420.

The front end of most models of speech, inside the model: a short Fourier transform, in complex numbers, a bank of
triangles, a logarithm and a cosine transform. And back: a mask on the complex spectrum, and the inverse transform.
"""

import math

import torch
from sounds import chirp, speech
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights

RATE, WINDOW, HOP, BANDS = 8000, 64, 16, 12


def triangles() -> Tensor:
    """The bank: (BANDS, WINDOW // 2 + 1). Each triangle begins where the one before has its peak."""
    top = 2595 * math.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, BANDS + 2) / 2595) - 1)
    pitch = torch.linspace(0, RATE / 2, WINDOW // 2 + 1)
    up = (pitch - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - pitch) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(up, down).clamp(min=0)


class Cepstra(nn.Module):
    def __init__(self, count: int = 8) -> None:
        super().__init__()
        self.length, self.hop = WINDOW, HOP
        self.register_buffer("window", torch.hann_window(WINDOW))
        self.register_buffer("bank", triangles())
        place = math.pi / BANDS * (torch.arange(BANDS) + 0.5)
        self.register_buffer("cosines", (torch.arange(count)[:, None] * place).cos() * math.sqrt(2 / BANDS))

    def forward(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Sound (batch, samples); log mel spectrum (batch, BANDS, frames) and cepstra (batch, 8, frames)."""
        spectrum = torch.stft(sound, self.length, self.hop, window=self.window, return_complex=True)
        mel = torch.matmul(self.bank, spectrum.abs().square())
        # As Whisper: eight decades at most below what is loudest.
        log = mel.clamp(min=1e-10).log10()
        log = torch.maximum(log, log.amax(dim=(1, 2), keepdim=True) - 8.0)
        return log, torch.matmul(self.cosines, log)


class Denoiser(nn.Module):
    """Each bin of the spectrum is made softer or left alone, by what is around it, and becomes sound again."""

    def __init__(self) -> None:
        super().__init__()
        self.length, self.hop = WINDOW, HOP
        self.register_buffer("window", torch.hann_window(WINDOW))
        bins = WINDOW // 2 + 1
        self.mask = nn.Sequential(nn.Conv1d(bins, 24, 3, padding=1), nn.PReLU(24), nn.Conv1d(24, bins, 1), nn.Sigmoid())

    def forward(self, sound: Tensor) -> Tensor:
        """Sound (batch, samples), and out again as long."""
        spectrum = torch.stft(sound, self.length, self.hop, window=self.window, return_complex=True)
        spectrum = spectrum * self.mask(torch.log1p(spectrum.abs()))
        return torch.istft(spectrum, self.length, self.hop, window=self.window, length=sound.shape[-1])


samples = torch.export.Dim("samples", min=128, max=4000)

mel = Case(
    model=Cepstra,
    inputs={"noise": lambda: (0.3 * torch.randn(2, 400),), "longer_speech": lambda: (speech(3, 611),)},
    dynamic_shapes={"sound": {0: "batch", 1: samples}},
    tags=("audio", "fft", "complex"),
    paper="doi:10.1109/TASSP.1980.1163420",
)
mel_denoiser = Case(
    model=lambda: generic_weights(Denoiser()),
    inputs={"noise": lambda: (0.3 * torch.randn(2, 400),), "chirp": lambda: (chirp(3, 611),)},
    dynamic_shapes={"sound": {0: "batch", 1: samples}},
    tags=("audio", "fft", "complex", "inverse"),
    paper="doi:10.1109/TASSP.1980.1163420",
)
