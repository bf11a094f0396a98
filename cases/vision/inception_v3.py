"""Inception v3: Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2015, arXiv:1512.00567.

Parallel branches of unlike convolutions (1x7 and 7x1) and of average pooling that counts its padding, joined by cat.
The channels are scaled one by one (`transform_input`).
"""

from functools import partial
from typing import Any

import torch
from pictures import photo
from torch import nn
from torch.export import Dim
from torchvision.models import Inception3, inception

from pytest_modelconform import Case, generic_weights

SLIMMER = 16


class Slim(inception.BasicConv2d):
    """torchvision fixes all widths; this divides them."""

    def __init__(self, c_in: int, c_out: int, **options: Any) -> None:
        super().__init__(c_in if c_in == 3 else c_in // SLIMMER, c_out // SLIMMER, **options)


def model() -> Inception3:
    kinds = (
        inception.InceptionA,
        inception.InceptionB,
        inception.InceptionC,
        inception.InceptionD,
        inception.InceptionE,
        inception.InceptionAux,
    )
    blocks = [Slim, *(partial(kind, conv_block=Slim) for kind in kinds)]
    net = Inception3(20, aux_logits=False, transform_input=True, inception_blocks=blocks, init_weights=False)
    # Of each kind of block one is enough.
    net.Mixed_5d = net.Mixed_6c = net.Mixed_6d = net.Mixed_6e = net.Mixed_7c = nn.Identity()
    net.fc = nn.Linear(2048 // SLIMMER, 20)
    return generic_weights(net)


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 112, 112),),
        "photo_wider": lambda: (photo(1, 112, 128),),
    },
    # A side below 107 pixels shrinks to 1 in the end, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=107), 3: Dim("width", min=107)}},
    tags=("vision", "convolution"),
    paper="arXiv:1512.00567",
    requires=("torchvision",),
)
