"""ONNX Runtime's conversion to float16."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel


def convert(path: Path) -> None:
    model = convert_float_to_float16(onnx.load(path), keep_io_types=True)
    OnnxModel.graph_topological_sort(model.graph)
    onnx.save(model, path.with_suffix(".fp16.onnx"))
