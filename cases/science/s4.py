"""S4: Gu et al., Efficiently Modeling Long Sequences with Structured State Spaces, 2021, arXiv:2111.00396.

A kernel as long as the sequence, from complex weights (a Cauchy product at the roots of unity), and a convolution by
Fourier transforms.
"""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


def cauchy(v: Tensor, z: Tensor, poles: Tensor) -> Tensor:
    """The sum of v / (z - pole) over states and their conjugates: (channels, states), … → (channels, frequencies)."""
    v = v[..., None]
    return (v / (z - poles) + v.conj() / (z - poles.conj())).sum(1)


class Kernel(nn.Module):
    """The convolution that a state space of diagonal and low rank comes to: length → (channels, length).

    Of pairs of conjugate states only one is kept, so results are twice the real part.
    """

    def __init__(self, channels: int, states: int) -> None:
        super().__init__()
        self.log_step = nn.Parameter(torch.zeros(channels, 1))
        self.log_decay = nn.Parameter(torch.zeros(channels, states))
        self.frequency = nn.Parameter(torch.zeros(channels, states))
        # Optimisers take real numbers: the last axis is the real and the imaginary part.
        self.p = nn.Parameter(torch.zeros(channels, states, 2))
        self.b = nn.Parameter(torch.zeros(channels, states, 2))
        self.c = nn.Parameter(torch.zeros(channels, states, 2))

    def forward(self, length: int) -> Tensor:
        step = self.log_step.exp()
        poles = (torch.complex(-self.log_decay.exp(), self.frequency) * step)[..., None]
        p, b, c = (torch.view_as_complex(v) for v in (self.p, self.b, self.c))
        omega = torch.exp(-2j * torch.pi * torch.arange(length // 2 + 1, device=step.device) / length)
        z = 2 * (1 - omega) / (1 + omega)
        k00, k01 = cauchy(c * b, z, poles) * step, cauchy(c * p, z, poles) * step
        k10, k11 = cauchy(p.conj() * b, z, poles) * step, cauchy(p.conj() * p, z, poles) * step
        transformed = 2 / (1 + omega) * (k00 - k01 * k10 / (1 + k11))
        return torch.fft.irfft(transformed, n=length)


class S4Layer(nn.Module):
    """x (batch, length, channels) → the same, each channel convolved with its kernel, then mixed and gated."""

    def __init__(self, channels: int, states: int = 8) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.kernel = Kernel(channels, states)
        self.skip = nn.Parameter(torch.zeros(channels))
        self.out = nn.Linear(channels, 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        u = self.norm(x).transpose(1, 2)
        length = u.size(-1)
        # Twice as long, so that the end doesn't come around to the beginning.
        kernel, signal = torch.fft.rfft(self.kernel(length), n=2 * length), torch.fft.rfft(u, n=2 * length)
        y = torch.fft.irfft(kernel * signal, n=2 * length)[..., :length]
        y = nn.functional.gelu(y + u * self.skip[:, None])
        return x + nn.functional.glu(self.out(y.transpose(1, 2)), dim=-1)


class S4(nn.Module):
    """Signals (batch, length, 2) → classes (batch, 5)."""

    def __init__(self, channels: int = 12) -> None:
        super().__init__()
        self.encoder = nn.Linear(2, channels)
        self.layers = nn.Sequential(S4Layer(channels), S4Layer(channels))
        self.decoder = nn.Linear(channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.layers(self.encoder(x)).mean(1))


def model() -> S4:
    """Steps and frequencies as S4 begins with: states that turn faster and faster, and forget in time."""
    s4 = generic_weights(S4())
    for module in s4.modules():
        if isinstance(module, Kernel):
            module.log_step.data -= 2.0
            module.log_decay.data -= 0.7
            module.frequency.data += torch.pi * torch.arange(module.frequency.size(1))
            module.b.data += 1.0
    return s4


def chirps(batch: int, length: int) -> Tensor:
    """Tones that rise, each twice as fast as the last one, and whether they are above 0."""
    time = torch.arange(length) / length
    tone = (20 * (1 + torch.arange(batch))[:, None] * time.square()).sin()
    return torch.stack((tone, (tone > 0).float()), -1)


case = Case(
    model=model,
    inputs={
        "two": lambda: (torch.randn(2, 20, 2),),
        "three_chirps": lambda: (chirps(3, 33),),
    },
    dynamic_shapes={"x": {0: "batch", 1: "length"}},
    tags=("science", "fft", "complex"),
    paper="arXiv:2111.00396",
)
