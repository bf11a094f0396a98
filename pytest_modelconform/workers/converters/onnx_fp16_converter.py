"""ONNX into ONNX whose weights and arithmetic are float16, as ONNX Runtime's own tool makes it."""

from __future__ import annotations

import os
from typing import Any

import onnxruntime

from .. import convert
from ..loop import Handlers


def to_float16(source: str, signature: dict[str, Any], folder: str) -> dict[str, Any]:
    """Write `model.fp16.onnx`; its inputs and outputs stay as they are."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = convert_float_to_float16(onnx.load(os.path.join(source, signature["file"])), keep_io_types=True)
    # Casts of inputs come last, and ONNX wants nodes behind what they read: its evaluator insists.
    OnnxModel.graph_topological_sort(model.graph)
    onnx.save(model, os.path.join(folder, "model.fp16.onnx"))
    return {**signature, "file": "model.fp16.onnx"}


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    return convert.handlers("onnx-fp16", onnxruntime.__version__, to_float16)
