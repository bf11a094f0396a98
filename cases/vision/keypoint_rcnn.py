"""Keypoint R-CNN: He et al., Mask R-CNN, 2017, arXiv:1703.06870, section 5.

Each keypoint is the highest place of a map of its own, which is interpolated to the size of the box before.
"""

import torch
from backbones import anchors, moderate, pyramid
from pictures import photo
from torch import nn
from torchvision.models.detection import KeypointRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor

from pytest_modelconform import Case, generic_weights


def model() -> nn.Module:
    rcnn = KeypointRCNN(
        pyramid(),
        min_size=64,
        max_size=128,
        rpn_anchor_generator=anchors(4),
        rpn_pre_nms_top_n_test=20,
        rpn_post_nms_top_n_test=8,
        box_head=TwoMLPHead(32 * 7 * 7, 48),
        box_predictor=FastRCNNPredictor(48, num_classes=2),
        box_detections_per_img=6,
        keypoint_head=KeypointRCNNHeads(32, (16, 16)),
        keypoint_predictor=KeypointRCNNPredictor(16, num_keypoints=5),
    )
    return moderate(generic_weights(rcnn))


case = Case(
    model=model,
    inputs={
        "squares": lambda: ([torch.rand(3, 64, 64), torch.rand(3, 96, 96)],),
        "pictures": lambda: ([photo(1, 64, 96)[0], photo(1, 112, 80)[0]],),
    },
    # No sizes are declared, though all may change: with them torch.onnx.export takes minutes, see faster_rcnn.py.
    blind_ok="it knows one class, whose label is 1",
    tags=("vision", "detection", "dynamic_output", "control_flow", "interpolation"),
    paper="arXiv:1703.06870",
    requires=("torchvision",),
)
