"""SSDLite320: Liu et al., SSD, 2015, arXiv:1512.02325; Sandler et al., MobileNetV2, 2018, arXiv:1801.04381.

Takes a list of images of any size and returns a list of dicts whose length is the number of detections.
"""

import torch
from torchvision.models import detection
from torchvision.models.detection.ssd import SSD

from pytest_modelconform import Case, generic_weights


def model() -> SSD:
    ssd = generic_weights(
        detection.ssdlite320_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=5, score_thresh=0.5, nms_thresh=0.3
        )
    )
    # The generic logits of large maps would saturate the softmax. Saturated scores tie, and ties have no fixed order.
    for head in ssd.head.classification_head.module_list[:2]:
        head[1].weight.data *= 0.15
    return ssd


ssdlite320_mobilenet_v3_large = Case(
    model=model,
    inputs={
        "squares": lambda: ([torch.rand(3, 96, 96), torch.rand(3, 128, 128)],),
        "wide_and_high": lambda: ([torch.rand(3, 64, 128), torch.rand(3, 144, 80)],),
    },
    dynamic_shapes={"images": [{1: "height", 2: "width"}, {1: "other_height", 2: "other_width"}]},
    tags=("vision", "detection"),
    paper="arXiv:1512.02325",
    requires=("torchvision",),
)
