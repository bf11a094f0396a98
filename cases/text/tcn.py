"""TCN: Bai et al., An Empirical Evaluation of Convolutional and Recurrent Networks, 2018, arXiv:1803.01271.

Dilated causal convolutions whose weights are normed in each call.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from pytest_modelconform import Case, generic_weights


class Chomp(nn.Module):
    """Cuts off what the padding of a convolution adds at the end, so that nothing sees the future."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : -self.size].contiguous()


class Block(nn.Module):
    def __init__(self, c_in: int, c_out: int, dilation: int, kernel: int = 3) -> None:
        super().__init__()
        padding = (kernel - 1) * dilation
        layers: list[nn.Module] = []
        for channels in (c_in, c_out):
            convolution = nn.Conv1d(channels, c_out, kernel, padding=padding, dilation=dilation)
            layers += [weight_norm(convolution), Chomp(padding), nn.ReLU(), nn.Dropout(0.2)]
        self.layers = nn.Sequential(*layers)
        self.skip = nn.Conv1d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layers(x) + self.skip(x))


class TCN(nn.Module):
    """Sequences (batch, 4, length) → the next values (batch, 4, length)."""

    def __init__(self, channels: int = 4, width: int = 16) -> None:
        super().__init__()
        sizes = (channels, width, width, 2 * width)
        self.blocks = nn.Sequential(*(Block(sizes[i], sizes[i + 1], 2**i) for i in range(3)))
        self.head = nn.Linear(2 * width, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x).transpose(1, 2)).transpose(1, 2)


def waves(batch: int, length: int) -> Tensor:
    """Four channels: a slow and a fast sine, a sawtooth, and steps."""
    time = torch.arange(length) + 7 * torch.arange(batch)[:, None]
    return torch.stack(((time / 9).sin(), (time / 2).cos(), time % 11 / 5 - 1, (time // 6 % 2).float()), 1)


case = Case(
    model=lambda: generic_weights(TCN()),
    inputs={"two": lambda: (torch.randn(2, 4, 40),), "three_longer": lambda: (waves(3, 57),)},
    dynamic_shapes={"x": {0: "batch", 2: "length"}},
    tags=("text", "convolution", "weight_norm"),
    paper="arXiv:1803.01271",
)
