"""Sounds that the audio cases share: made from formulas, since a case downloads nothing."""

import math

import torch
from torch import Tensor


def chirp(batch: int, length: int, rate: int = 8000) -> Tensor:
    """Tones that rise, each row from another pitch, with two harmonics: (batch, length) in -0.6 to 0.6."""
    time = torch.arange(length) / rate
    start = 120.0 * 1.5 ** torch.arange(batch)[:, None]
    phase = 2 * math.pi * start * (time + 0.5 * time.square())
    return 0.4 * phase.sin() + 0.15 * (2 * phase).sin() + 0.05 * (3 * phase).sin()


def speech(batch: int, length: int, rate: int = 8000) -> Tensor:
    """Syllables: a buzz with a formant, hisses and pauses, as loud as speech is; (batch, length)."""
    time = torch.arange(length) / rate
    pitch = 110.0 + 35.0 * torch.arange(batch)[:, None]
    buzz = sum((2 * math.pi * k * pitch * time).sin() / (1 + (k - 4) ** 2) for k in range(1, 9))
    hiss = 0.3 * torch.randn(batch, length)
    beat = (2 * math.pi * 9.0 * time).sin()  # nine syllables in two seconds
    return 0.4 * torch.where(beat > 0.2, buzz * beat, torch.where(beat < -0.7, hiss, 0.002 * hiss))


def padded(batch: int, length: int, rate: int = 8000) -> tuple[Tensor, Tensor]:
    """Speech with zeros behind its end, the first row in full: sound and mask (1: sound), both (batch, length)."""
    ends = length - torch.arange(batch) * (length // (2 * batch))
    mask = (torch.arange(length) < ends[:, None]).long()
    return speech(batch, length, rate) * mask, mask
