"""timm's smallest architectures: of each of its modules the smallest model, of these the 40 smallest (timm 1.0.31)."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from .stranger import Stranger

# Architecture -> pixels: 96 where it takes any size, else its own.
_SIZES = {
    160: "test_vit test_vit_relpos",
    224: """efficientvit_m0 xcit_nano_12_p8_224 swiftformer_xs efficientformerv2_s0 pit_ti_224 coat_tiny
        eva02_tiny_patch14_224 convit_tiny deit_tiny_patch16_224 gmlp_ti16_224 vit_tiny_r_s16_p8_224""",
    96: """test_mambaout test_byobnet starnet_s050 edgenext_xx_small mobilenetv3_small_050 mobilevit_xxs
        ese_vovnet19b_slim_dw convnext_zepto_rms repghostnet_050 ghostnet_050 regnetx_002 cspnext_tiny
        cs3darknet_focus_s efficientvit_b0 pvt_v2_b0 fasternet_t0 fastvit_t8 lcnetv2_small inception_next_atto
        rexnet_100 hardcorenas_b efficientnet_b0 resnet10t repvit_m1 hgnetv2_b0 shvit_s1 cpubone_nano""",
}
ARCHITECTURES = {name: size for size, names in _SIZES.items() for name in names.split()}


def strangers() -> Iterator[Stranger]:
    """All of them, as missing where timm isn't installed."""
    there = importlib.util.find_spec("timm") is not None
    missing = "" if there else "timm isn't installed: pip install --no-deps timm"
    for name, size in ARCHITECTURES.items():
        make = partial(_make, name)
        yield Stranger(f"timm.{name}", make, partial(torch.randn, 2, 3, size, size), missing=missing)


def _make(name: str) -> nn.Module:
    import timm

    found: Any = timm.create_model(name, pretrained=False)
    model: nn.Module = found
    return model
