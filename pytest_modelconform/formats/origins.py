"""What artifacts of several formats have in common: a fault in it is in all of them, whoever runs them."""

from __future__ import annotations

from ..terms.case import TORCH
from ..terms.exports import base_of

# What captures a model in PyTorch for a format, as messages name it. A format that isn't here stands for itself.
_EXPORT = "torch.export"
_TRACE = "torch.jit.trace"
_COMPILE = "torch.compile"
# Two that write operators out by the same formulas: PyTorch's decompositions.
DECOMPOSED = frozenset((_EXPORT, _COMPILE))
_CAPTURED_BY = {
    **dict.fromkeys(("export", "export-2.11", "export-2.15", "aoti", "onnx", "onnx-decomposed", "openvino"), _EXPORT),
    **dict.fromkeys(("stablehlo", "executorch", "executorch-portable", "litert", "coreml"), _EXPORT),
    **dict.fromkeys(("torchscript-trace", "torchscript-trace-2.11", "torchscript-trace-2.15"), _TRACE),
    "module": _COMPILE,
    **dict.fromkeys(("onnx-legacy", "onnx-opset9", "ncnn", "caffe"), _TRACE),
}


def origin(first: str, framework: str) -> str:
    """What made the first of the artifacts on the way to a format; "" where that is the model itself.

    first: the last name of `Registry.made_through`.
    """
    if framework == TORCH:
        # Whoever makes a variant most likely begins with the same exporter.
        return _CAPTURED_BY.get(base_of(first), base_of(first))
    if framework == "onnx":
        return "" if first == "onnx" else "onnx2torch"
    return first
