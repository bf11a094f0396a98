"""OpenVINO's format with int8 weights and activations: NNCF's post-training quantisation, calibrated."""

from __future__ import annotations

import os
from typing import Any

import nncf
import openvino

from .. import convert
from ..loop import Handlers


def to_int8(source: str, signature: dict[str, Any], folder: str, feeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Write `int8.xml` and its weights, `int8.bin`: `nncf.quantize` with its defaults."""
    model = openvino.Core().read_model(os.path.join(source, signature["file"]))
    quantised = nncf.quantize(model, nncf.Dataset(feeds), subset_size=len(feeds))
    # By default what is left in float32 becomes float16.
    openvino.save_model(quantised, os.path.join(folder, "int8.xml"), compress_to_fp16=False)
    return {**signature, "file": "int8.xml"}


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    return convert.calibrated("openvino-int8", nncf.__version__, to_int8)
