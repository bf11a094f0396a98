"""torchvision's classifiers, detectors and segmenters, on images of 96 pixels unless they take one size only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from .stranger import Stranger

SIZE = 96
# Parameters beyond 150 million.
LARGE = ("convnext_large", "regnet_y_128gf", "vit_h_14", "vit_l_16", "vit_l_32")
# What a classifier takes to be built at that size; one of 14 pixels a patch gets 98.
_OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {"image_size": SIZE} for name in ("vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32")},
    "vit_h_14": {"image_size": 98},
    # Initial values by scipy take a minute.
    "googlenet": {"init_weights": False},
    "inception_v3": {"init_weights": False},
}
_SIZES = {"vit_h_14": 98, "maxvit_t": 224}
_FIXED_DETECTORS = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320}


class Detector(nn.Module):
    """A detector on one image, as one takes it that is exported: the list of dicts taken apart."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Any:
        return self.model([x])[0]


def strangers() -> Iterator[Stranger]:
    """All of them."""
    for name in models.list_models(module=models):
        options = _OPTIONS.get(name, {})
        make = partial(models.get_model, name, weights=None, **options)
        size = _SIZES.get(name, SIZE)
        yield Stranger(f"torchvision.{name}", make, partial(torch.randn, 2, 3, size, size), large=name in LARGE)
    for name in models.list_models(module=models.segmentation):
        make = partial(models.get_model, name, weights=None, weights_backbone=None)
        yield Stranger(f"segmentation.{name}", make, partial(torch.randn, 2, 3, SIZE, SIZE))
    for name in models.list_models(module=models.detection):
        size = _FIXED_DETECTORS.get(name, SIZE)
        sizes = {} if name in _FIXED_DETECTORS else {"min_size": size, "max_size": size}
        yield Stranger(f"detection.{name}", partial(_detector, name, sizes), partial(torch.rand, 3, size, size))


def _detector(name: str, sizes: dict[str, int]) -> Detector:
    build: Callable[..., nn.Module] = models.get_model_builder(name)
    return Detector(build(weights=None, weights_backbone=None, **sizes))
