"""RetinaNet: Lin et al., Focal Loss for Dense Object Detection, 2017, arXiv:1708.02002.

One stage: a class and a box at each anchor of all maps, the best of each map and then of all by suppression.
"""

import torch
from backbones import anchors, moderate, pyramid
from pictures import photo
from torch import nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from pytest_modelconform import Case, generic_weights


def model() -> nn.Module:
    net = RetinaNet(
        pyramid(LastLevelP6P7(32, 32)),
        num_classes=4,
        min_size=64,
        max_size=128,
        anchor_generator=anchors(5),
        head=RetinaNetHead(32, num_anchors=3, num_classes=4),
        score_thresh=0.3,
        detections_per_img=12,
        topk_candidates=20,
    )
    return moderate(generic_weights(net))


case = Case(
    model=model,
    inputs={
        "squares": lambda: ([torch.rand(3, 64, 64), torch.rand(3, 96, 96)],),
        "pictures": lambda: ([photo(1, 64, 128)[0], photo(1, 112, 80)[0]],),
    },
    # No sizes are declared, though all may change: with them torch.onnx.export takes minutes, see faster_rcnn.py.
    tags=("vision", "detection", "dynamic_output", "control_flow"),
    paper="arXiv:1708.02002",
    requires=("torchvision",),
)
