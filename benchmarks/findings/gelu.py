"""MNN computes GELU by tanh where the model says erf: in Swin as torchvision ships it, and alone."""

import torch
from torch import nn
from torchvision.models import swin_t

from pytest_modelconform import Case, generic_weights


def block() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16))


gelu = Case(
    model=lambda: generic_weights(block()),
    inputs={"three": lambda: (torch.randn(3, 16),), "five": lambda: (torch.randn(5, 16),)},
)
swin = Case(
    model=lambda: swin_t(),
    inputs={"one": lambda: (torch.rand(1, 3, 64, 64),), "other": lambda: (torch.rand(1, 3, 64, 64),)},
    fixed_inputs="takes half a minute a set",
    requires=("torchvision",),
)
