"""DETR: Carion et al., End-to-End Object Detection with Transformers, 2020, arXiv:2005.12872.

Boxes without anchors and without suppression: queries attend to an image, whose padding is masked and whose positions
are sines.
"""

import torch
from pictures import photo
from torch import Tensor, nn
from torch.export import Dim
from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig

from pytest_modelconform import Case, generic_weights


class Boxes(nn.Module):
    """Images → logits (batch, queries, classes + 1) and boxes (batch, queries, 4), of a centre and sides in 0…1.

    pixel_values (batch, 3, height, width); pixel_mask (batch, height, width), int64: 1 for an image, 0 for its padding.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor, pixel_mask: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.model(pixel_values, pixel_mask=pixel_mask)
        return outputs.logits, outputs.pred_boxes


def model() -> Boxes:
    resnet = ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 32, 48], depths=[1, 1, 1], layer_type="basic", out_features=["stage3"]
    )
    config = DetrConfig(
        backbone_config=resnet,
        num_queries=9,
        d_model=32,
        encoder_layers=1,
        encoder_ffn_dim=64,
        encoder_attention_heads=4,
        decoder_layers=2,
        decoder_ffn_dim=64,
        decoder_attention_heads=4,
        num_labels=6,
    )
    return generic_weights(Boxes(DetrForObjectDetection(config)))


def padded(images: Tensor, rows: int, columns: int) -> dict[str, Tensor]:
    """A batch whose last image ends before that many rows and columns of padding."""
    mask = torch.ones(images.shape[0], *images.shape[2:], dtype=torch.int64)
    mask[-1, images.shape[2] - rows :] = 0
    mask[-1, :, images.shape[3] - columns :] = 0
    return {"pixel_values": images * mask[:, None], "pixel_mask": mask}


SIZES = {2: Dim("height", min=33), 3: Dim("width", min=33)}

case = Case(
    model=model,
    inputs={
        "pair": lambda: padded(torch.rand(2, 3, 64, 80), 16, 24),
        "three_pictures": lambda: padded(photo(3, 96, 64), 40, 0),
    },
    dynamic_shapes={
        "pixel_values": {0: "batch", **SIZES},
        "pixel_mask": {0: "batch", 1: SIZES[2], 2: SIZES[3]},
    },
    tags=("vision", "detection", "transformer", "attention"),
    paper="arXiv:2005.12872",
    requires=("transformers",),
)
