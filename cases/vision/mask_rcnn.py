"""Mask R-CNN: He et al., Mask R-CNN, 2017, arXiv:1703.06870.

Each mask is pasted where its box is: interpolated to the box's size, in whole pixels, in a loop over the boxes.
"""

import torch
from backbones import anchors, moderate, pyramid
from pictures import photo
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

from pytest_modelconform import Case, generic_weights


def model() -> nn.Module:
    rcnn = MaskRCNN(
        pyramid(),
        min_size=64,
        max_size=128,
        rpn_anchor_generator=anchors(4),
        rpn_pre_nms_top_n_test=20,
        rpn_post_nms_top_n_test=8,
        box_head=TwoMLPHead(32 * 7 * 7, 48),
        box_predictor=FastRCNNPredictor(48, num_classes=5),
        box_detections_per_img=6,
        mask_head=MaskRCNNHeads(32, [16, 16], 1),
        mask_predictor=MaskRCNNPredictor(16, 16, num_classes=5),
    )
    return moderate(generic_weights(rcnn))


case = Case(
    model=model,
    inputs={
        "squares": lambda: ([torch.rand(3, 64, 64), torch.rand(3, 48, 48)],),
        "pictures": lambda: ([photo(1, 40, 64)[0], photo(1, 64, 48)[0]],),
    },
    # No sizes are declared, though all may change: with them torch.onnx.export takes minutes, see faster_rcnn.py.
    tags=("vision", "detection", "segmentation", "dynamic_output", "control_flow", "interpolation"),
    paper="arXiv:1703.06870",
    requires=("torchvision",),
)
