"""Models of torchvision: images and clips in the size that suits a test, else in the one that the weights are for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from string import Template
from typing import Any

from .sources import image_cases, sizes, unknown

PACKAGE = "torchvision"

_TAGS = {"video": '("vision", "video")'}
# Heads for training that eval mode leaves out, and initial values that generic ones replace anyhow.
_OPTIONS = dict.fromkeys(("googlenet", "inception_v3"), "aux_logits=False, init_weights=False")
# Detectors' options that leave few boxes, by the name of the class.
_PROPOSALS = "rpn_pre_nms_top_n_test=40 rpn_post_nms_top_n_test=20 box_detections_per_img=10"
_CANDIDATES = "topk_candidates=20 detections_per_img=10"
_FEW = {
    "FasterRCNN": f"num_classes=5 min_size=64 max_size=128 {_PROPOSALS}",
    "MaskRCNN": f"num_classes=5 min_size=64 max_size=128 {_PROPOSALS}",
    "KeypointRCNN": f"num_classes=2 num_keypoints=5 min_size=64 max_size=128 {_PROPOSALS}",
    "RetinaNet": f"num_classes=5 min_size=64 max_size=128 {_CANDIDATES}",
    "FCOS": f"num_classes=5 min_size=64 max_size=128 {_CANDIDATES}",
    "SSD": f"num_classes=5 {_CANDIDATES}",
}

_DETECTOR_CASE = '''\
"""$builder of torchvision: say here in which paper it was published."""

import torch
from torch import nn
from torchvision.models import detection

from pytest_modelconform import Case, generic_weights


def model() -> nn.Module:
    detector = detection.$builder(
        weights=None,
        weights_backbone=None,
$options
    )
    generic_weights(detector)
    # With generic weights $what so large that scores saturate and tie. Ties have no fixed order.
    for layer in detector.$layers:
        layer$convolution.weight.data *= $factor
    return detector


case = Case(
    model=model,
    # Exporters see the first; the other shows whether the export generalises.
    inputs={
        "squares": lambda: ([torch.rand(3, 64, 64), torch.rand(3, 96, 96)],),
        "wide_and_high": lambda: ([torch.rand(3, 64, 128), torch.rand(3, 112, 80)],),
    },
    dynamic_shapes={"images": [{1: "height", 2: "width"}, {1: "other_height", 2: "other_width"}]},
    tags=("vision", "detection"),
    requires=("torchvision",),
)
'''


def drafts(model: str) -> list[str]:
    """Case files: a small size, then the size of the weights' transforms. Nothing is downloaded."""
    from torchvision import models

    known = models.list_models()
    if model not in known:
        raise unknown(PACKAGE, model, known, "torchvision.models.list_models()")
    builder = models.get_model_builder(model)
    # torchvision.models.segmentation.fcn -> segmentation; torchvision.models.resnet -> none.
    path = builder.__module__.split(".")[2:]
    family = path[0] if len(path) > 1 else ""
    weights = next(iter(models.get_model_weights(model)), None)
    meta = weights.meta if weights else {}
    spelled = f"models.{family + '.' if family else ''}{builder.__name__}({_arguments(builder)})"
    if family == "detection":
        return [_detector(builder)]
    frames = f", {max(4, meta.get('min_temporal_size', 1))}" if family == "video" else ""
    flow = family == "optical_flow"
    least = max(meta.get("min_size", (1, 1)))
    return image_cases(
        f"{model} of torchvision",
        ["from torchvision import models"],
        spelled,
        f"3{frames}",
        [least] if flow else _sizes(least, _meant(weights)),
        _TAGS.get(family, '("vision",)'),
        PACKAGE,
        images=2 if flow else 1,
        # RAFT's maps are an eighth of its images, and it takes no others.
        multiple=8 if flow else 1,
    )


def _sizes(least: int, meant: int) -> list[int]:
    # vit_h_14 takes other sizes with its weights than without them.
    return [*sizes(least, meant), *([224] if least == meant > 224 else [])]


def _meant(weights: Any) -> int:
    """The size that a model was trained for, as far as its weights' transforms say so."""
    options = getattr(weights.transforms, "keywords", {}) if weights else {}
    size = options.get("crop_size", options.get("resize_size", 224))
    return int(size if isinstance(size, int) else max(size))


def _arguments(builder: Any) -> str:
    words = ["weights=None"]
    # Its default is weights that would be downloaded.
    if "weights_backbone" in inspect.signature(builder).parameters:
        words.append("weights_backbone=None")
    if options := _OPTIONS.get(builder.__name__):
        words.append(options)
    return ", ".join(words)


def _detector(builder: Callable[..., Any]) -> str:
    """The case file of a detector, whose scores are made moderate: trained ones are, and saturated ones tie."""
    import torch

    from ...terms.case import generic_weights

    kind = inspect.signature(builder).return_annotation
    options = _FEW[getattr(kind, "__name__", str(kind))].split()
    words = dict(option.split("=") for option in options)
    with torch.random.fork_rng(devices=[]):
        detector: Any = builder(
            weights=None, weights_backbone=None, **{name: int(value) for name, value in words.items()}
        )
    generic_weights(detector.eval())
    pyramid = hasattr(detector.backbone, "fpn")
    layers = "backbone.fpn.layer_blocks" if pyramid else "head.classification_head.module_list"
    with torch.no_grad():
        images, _ = detector.transform([torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(0))])
        maps = list(detector.backbone(images.tensors).values())
        large = maps if pyramid else [detector.head(maps)["cls_logits"]]
    spread = max(float(values.std()) for values in large)
    first = detector.get_submodule(layers)[0]
    places = [] if isinstance(first, torch.nn.Conv2d) else [i for i, m in enumerate(first) if hasattr(m, "bias")]
    return Template(_DETECTOR_CASE).substitute(
        builder=builder.__name__,
        options="\n".join(f"        {option}," for option in options),
        what="the maps of the pyramid are" if pyramid else "the logits are",
        layers=layers,
        convolution=f"[{places[-1]}]" if places else "",
        factor=f"{1 / spread:.1g}",
    )
