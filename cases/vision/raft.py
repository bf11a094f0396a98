"""RAFT: Teed and Deng, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow, 2020, arXiv:2003.12039.

All pairs of pixels are correlated; each update looks that volume up where the flow of the last one points to.
"""

import torch
from pictures import photo
from torch import Tensor, nn
from torch.export import Dim
from torchvision.models.optical_flow import RAFT
from torchvision.models.optical_flow import raft as parts

from pytest_modelconform import Case, generic_weights


class Flow(nn.Module):
    """Two images (batch, 3, height, width) → the flow after each update, (batch, 2, height, width), in pixels."""

    def __init__(self, raft: nn.Module) -> None:
        super().__init__()
        self.raft = raft

    def forward(self, first: Tensor, second: Tensor) -> list[Tensor]:
        return self.raft(first, second, num_flow_updates=2)


def encoder(width: int, norm: type[nn.Module]) -> parts.FeatureEncoder:
    return parts.FeatureEncoder(block=parts.ResidualBlock, layers=(8, 8, 12, 16, width), norm_layer=norm)


def model() -> Flow:
    corr = parts.CorrBlock(num_levels=2, radius=2)
    motion = parts.MotionEncoder(
        in_channels_corr=corr.out_channels, corr_layers=(32, 24), flow_layers=(16, 8), out_channels=24
    )
    raft = RAFT(
        feature_encoder=encoder(32, nn.InstanceNorm2d),
        context_encoder=encoder(40, nn.BatchNorm2d),
        corr_block=corr,
        update_block=parts.UpdateBlock(
            motion_encoder=motion,
            recurrent_block=parts.RecurrentBlock(input_size=24 + 16, hidden_size=24),
            flow_head=parts.FlowHead(in_channels=24, hidden_size=32),
        ),
        mask_predictor=parts.MaskPredictor(in_channels=24, hidden_size=32),
    )
    return generic_weights(Flow(raft))


def moved(batch: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """A picture, and the same three pixels further to the right and one down."""
    images = photo(batch, height, width) * 2 - 1
    return images, images.roll((1, 3), (2, 3))


EIGHTHS = {2: 8 * Dim("rows", min=4), 3: 8 * Dim("columns", min=4)}

case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 32, 40) * 2 - 1, torch.rand(2, 3, 32, 40) * 2 - 1),
        "one_moved": lambda: moved(1, 40, 48),
    },
    dynamic_shapes={"first": {0: "batch", **EIGHTHS}, "second": {0: "batch", **EIGHTHS}},
    tags=("vision", "convolution", "interpolation", "gather", "recurrent"),
    paper="arXiv:2003.12039",
    requires=("torchvision",),
)
