"""Faster R-CNN: Ren et al., Faster R-CNN: Towards Real-Time Object Detection, 2015, arXiv:1506.01497.

Takes a list of images of any size. Proposals and detections are as many as suppression leaves. The size that images are
scaled to is a fraction of theirs, which torch.export simplifies for minutes in strict mode.
"""

import torch
from backbones import anchors, moderate, pyramid
from pictures import photo
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead

from pytest_modelconform import Case, generic_weights


def model() -> nn.Module:
    rcnn = FasterRCNN(
        pyramid(),
        min_size=64,
        max_size=128,
        rpn_anchor_generator=anchors(4),
        rpn_pre_nms_top_n_test=20,
        rpn_post_nms_top_n_test=12,
        box_head=TwoMLPHead(32 * 7 * 7, 48),
        box_predictor=FastRCNNPredictor(48, num_classes=5),
        box_detections_per_img=10,
    )
    return moderate(generic_weights(rcnn))


case = Case(
    model=model,
    inputs={
        "squares": lambda: ([torch.rand(3, 64, 64), torch.rand(3, 96, 96)],),
        "pictures": lambda: ([photo(1, 64, 128)[0], photo(1, 112, 80)[0]],),
    },
    dynamic_shapes={"images": [{1: "height", 2: "width"}, {1: "other_height", 2: "other_width"}]},
    tags=("vision", "detection", "dynamic_output", "control_flow", "slow"),
    paper="arXiv:1506.01497",
    requires=("torchvision",),
)
