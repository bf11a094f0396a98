"""ONNX into ONNX with int8 weights and activations: ONNX Runtime's static quantisation, calibrated."""

from __future__ import annotations

import os
from typing import Any

import onnxruntime

from .. import convert
from ..loop import Handlers

# Operators that are quantised: those that take a model's time. By default ONNX Runtime quantises all that it can, sums
# of attention masks among it, whose range of ±3.4e38 leaves nothing of the rest: BERT keeps 1 bit so, and 5 with these.
# With what ends their ranges: a Relu or Clip behind one of them is then left out, and no step is spent on what it cuts.
OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Relu", "Clip")


def to_int8(source: str, signature: dict[str, Any], folder: str, feeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Write `model.int8.onnx`, with a QuantizeLinear and a DequantizeLinear around what is quantised.

    Weights by channel, activations by tensor, ranges from the least and the largest number of all feeds.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Feeds(CalibrationDataReader):  # type: ignore[misc]
        """One after another, and then None."""

        def get_next(self) -> dict[str, Any] | None:
            return feeds.pop(0) if feeds else None

    quantize_static(
        os.path.join(source, signature["file"]),
        os.path.join(folder, "model.int8.onnx"),
        Feeds(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(OPERATORS),
        per_channel=True,
        calibration_providers=["CPUExecutionProvider"],
    )
    return {**signature, "file": "model.int8.onnx"}


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    return convert.calibrated("onnx-int8", onnxruntime.__version__, to_int8)
