"""Pictures with structure, for cases of vision: random noise alone looks the same everywhere, whatever a model does."""

import torch
from torch import Tensor


def photo(batch: int, height: int, width: int, channels: int = 3) -> Tensor:
    """(batch, channels, height, width) in 0..1: a gradient, a box with sharp edges, a soft blob and fine stripes."""
    y, x = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
    images = []
    for _ in range(batch):
        tilt, colour, light = torch.rand(channels), torch.rand(channels), torch.rand(channels)
        top, left, centre_y, centre_x = (0.1 + 0.5 * torch.rand(4)).tolist()
        image = tilt[:, None, None] * y + (1 - tilt)[:, None, None] * x
        box = (y >= top) & (y < top + 0.3) & (x >= left) & (x < left + 0.3)
        image = torch.where(box, colour[:, None, None], image)
        blob = torch.exp(-((y - centre_y) ** 2 + (x - centre_x) ** 2) / 0.02)
        image = image + blob * (light[:, None, None] - image)
        stripes = (torch.arange(height)[:, None] + torch.arange(width)) % 3 == 0
        images.append(torch.where(stripes & (y > 0.8), 1 - image, image))
    return torch.stack(images)


def clip(batch: int, frames: int, height: int, width: int) -> Tensor:
    """(batch, 3, frames, height, width) in 0..1: pictures that move to the right and downwards, and grow darker."""
    first = photo(batch, height, width)
    moved = [torch.roll(first, (t, 2 * t), (2, 3)) * 0.9**t for t in range(frames)]
    return torch.stack(moved, 2)
