"""ResNet-18: He et al., Deep Residual Learning for Image Recognition, 2015, arXiv:1512.03385."""

import torch
from torch.export import Dim
from torchvision import models

from pytest_modelconform import Case, Train, generic_weights


def images() -> tuple[torch.Tensor, torch.Tensor]:
    """Images and classes of a chosen seed: with every third seed, some unit is at the kink of its ReLU."""
    generator = torch.Generator().manual_seed(2)
    return torch.rand(8, 3, 32, 32, generator=generator), torch.randint(0, 1000, (8,), generator=generator)


resnet18 = Case(
    model=lambda: generic_weights(models.resnet18()),
    inputs={
        "pair": lambda: (torch.rand(2, 3, 64, 64),),
        "one_wider": lambda: (torch.rand(1, 3, 64, 96),),
    },
    # A side of 32 pixels or less shrinks to 1 in the end, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=33), 3: Dim("width", min=33)}},
    dtypes=("float32", "float16", "bfloat16"),
    cpp="resnet.cpp",
    train=Train(loss="cross_entropy", optimizer="sgd", lr=0.01, momentum=0.9, steps=3, batch_size=8, data=images),
    tags=("vision", "convolution"),
    paper="arXiv:1512.03385",
    requires=("torchvision",),
)
