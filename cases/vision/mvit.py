"""MViT v2: Li et al., Improved Multiscale Vision Transformers for Classification and Detection, 2021, arXiv:2112.01526.

Video: queries, keys and values are pooled by convolutions in three dimensions, so that attention isn't square; relative
positions are split by axis and added by einsum.
"""

import torch
from pictures import clip
from torchvision.models.video import MViT
from torchvision.models.video.mvit import MSBlockConfig

from pytest_modelconform import Case, generic_weights


def block(heads: int, c_in: int, c_out: int, stride_q: int, stride_kv: int) -> MSBlockConfig:
    return MSBlockConfig(
        num_heads=heads,
        input_channels=c_in,
        output_channels=c_out,
        kernel_q=[3, 3, 3],
        kernel_kv=[3, 3, 3],
        stride_q=[1, stride_q, stride_q],
        stride_kv=[1, stride_kv, stride_kv],
    )


def model() -> MViT:
    return generic_weights(
        MViT(
            spatial_size=(32, 32),
            temporal_size=4,
            block_setting=[block(1, 16, 16, 1, 2), block(2, 16, 32, 2, 1)],
            residual_pool=True,
            residual_with_cls_embed=False,
            rel_pos_embed=True,
            proj_after_attn=True,
            num_classes=20,
        )
    )


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 4, 32, 32),),
        "clips": lambda: (clip(3, 4, 32, 32),),
    },
    # The sizes of a video are fixed when the model is built.
    dynamic_shapes={"x": {0: "batch"}},
    tags=("vision", "video", "transformer", "attention", "convolution"),
    paper="arXiv:2112.01526",
    requires=("torchvision",),
)
