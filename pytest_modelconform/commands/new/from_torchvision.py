"""Models of torchvision: images and clips in the size that suits a test, else in the one that the weights are for."""

from __future__ import annotations

import inspect
from typing import Any

from .sources import CantScaffold, image_case, sizes, unknown

PACKAGE = "torchvision"

_TAGS = {"video": '("vision", "video")'}
# Heads for training that eval mode leaves out, and initial values that generic ones replace anyhow.
_OPTIONS = dict.fromkeys(("googlenet", "inception_v3"), "aux_logits=False, init_weights=False")


def drafts(model: str) -> list[str]:
    """Case files: a small size, then the size of the weights' transforms. Nothing is downloaded for that."""
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
        raise CantScaffold(
            f"torchvision:{model} is a detector. With untrained weights its boxes and scores tie, so that chance "
            "decides which are kept. Begin with `modelconform new`; cases/vision/ssdlite.py shows how to write such a "
            "case."
        )
    frames = f"{max(4, meta.get('min_temporal_size', 1))}, " if family == "video" else ""
    inputs = 2 if family == "optical_flow" else 1
    return [
        image_case(
            f"{model} of torchvision",
            "import torch\nfrom torchvision import models",
            spelled,
            [f"3, {frames}{size}, {size}"] * inputs,
            _TAGS.get(family, '("vision",)'),
            PACKAGE,
        )
        for size in _sizes(max(meta.get("min_size", (1, 1))), _meant(weights))
    ]


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
