"""Pictures that a trained network has something to say about."""

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor


def faces(batch: int, height: int, width: int) -> Tensor:
    """Heads of varying tilt before a bright corner, (batch, 3, height, width) in 0..1."""
    y = torch.linspace(-1, 1, height)[:, None]
    x = torch.linspace(-1, 1, width)
    drawn = []
    for turn in torch.linspace(-0.3, 0.3, batch):
        across, down = x + turn * y, y - turn * x
        head = (across / 0.6) ** 2 + (down / 0.8) ** 2 < 1
        eyes = ((across.abs() - 0.25) / 0.13) ** 2 + ((down + 0.2) / 0.08) ** 2 < 1
        mouth = (across.abs() < 0.28) & ((down - 0.42).abs() < 0.06)
        light = 0.5 - 0.2 * x - 0.15 * y
        tone = torch.where(eyes | mouth, 0.15, torch.where(head, 0.45 + light, 0.6 * light))
        drawn.append(tone * torch.tensor([1.0, 0.8, 0.65])[:, None, None])
    return torch.stack(drawn).clamp(0, 1)


def text_lines(batch: int, height: int, width: int, *texts: str) -> Tensor:
    """Dark text on a page that darkens to the right, a line for each text, (batch, 3, height, width) in 0..1."""
    size = height * 2 // (3 * len(texts))
    drawn = []
    for first in range(batch):
        page = Image.new("L", (width, height), 255)
        for line, text in enumerate(texts):
            place = (4 + 3 * first, line * height // len(texts) + size // 6)
            ImageDraw.Draw(page).text(place, text[first:], fill=20, font=ImageFont.load_default(size))
        drawn.append(torch.from_numpy(np.array(page)) / 255 * torch.linspace(1, 0.8, width))
    return torch.stack(drawn)[:, None].repeat(1, 3, 1, 1)
