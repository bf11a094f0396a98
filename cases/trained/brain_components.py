"""ICLabel: Pion-Tonachini et al., ICLabel: An automated EEG independent component classifier, 2019, arXiv:1901.07915.

Trained weights, which mne-icalabel carries for PyTorch and as an ONNX file. Reshapes are in Fortran's order, as in the
MATLAB code that the network comes from, and the mean over four copies makes one row of four.
"""

import math

import torch
from torch import Tensor, nn
from torch.export import Dim
from wheels import absent, file_of

from pytest_modelconform import Case, Export

with absent("matplotlib", "mne", "pooch"):  # They read recordings.
    from mne_icalabel.iclabel.network.torch import ICLabelNet

SHIPPED = "iclabel/network/assets/ICLabelNet"


def model() -> nn.Module:
    net = ICLabelNet()
    net.load_state_dict(torch.load(file_of("mne_icalabel", f"{SHIPPED}.pt"), weights_only=True))
    return net


def features(topography: Tensor, power: Tensor, correlation: Tensor) -> dict[str, Tensor]:
    """Components (n, 32, 32), (n, 100), (n, 100) as the network takes them: each with its negative and its mirror."""
    turned = torch.cat((topography, -topography, topography.flip(1), -topography.flip(1)))
    copies = (one.repeat(4, 1)[:, None, None] for one in (power, correlation))
    return dict(zip(("images", "psds", "autocorr"), (turned[:, None], *copies), strict=True))


def components(count: int) -> dict[str, Tensor]:
    """Alpha waves at the back of the head and blinks at its front, one after the other."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    place = torch.linspace(-0.6, 0.6, count)[:, None, None]
    topography = 2 * torch.exp(-4 * ((y - place) ** 2 + x**2)) - 0.5
    frequency = torch.arange(1, 101)
    peak = torch.linspace(10, 3, count)[:, None]
    power = 1 / frequency.sqrt() + torch.exp(-((frequency - peak) ** 2) / 8)
    correlation = torch.exp(-frequency / 30) * (2 * math.pi * peak * frequency / 100).cos()
    return features(topography, 2 * power - 1, correlation)


def noise(count: int) -> dict[str, Tensor]:
    return features(torch.randn(count, 32, 32), torch.randn(count, 100), torch.randn(count, 100))


four = 4 * Dim("components")

iclabel = Case(
    model=model,
    inputs={"components": lambda: components(3), "noise": lambda: noise(2)},
    dynamic_shapes={"images": {0: four}, "psds": {0: four}, "autocorr": {0: four}},
    exports={"onnx@shipped": Export(file=str(file_of("mne_icalabel", f"{SHIPPED}.onnx")), inputs={"topo": "images"})},
    tags=("trained", "science", "convolution"),
    paper="arXiv:1901.07915",
    requires=("mne-icalabel",),
)
