"""How exact an artifact has to be whose format makes it less exact: what was asked for, and not what rounding does.

Float32 arithmetic is judged by its noise. A format that quantises has no noise to be judged by: how much is lost
depends on the model and on its inputs, and is what users want to know. So its cells are judged by a stated number of
right bits, and say how many there are.
"""

from __future__ import annotations

from .case import Tolerance
from .exports import base_of

# Measured on ResNet-18, MobileNetV3 and BERT with generic weights, see docs/quantised.md: 10.1 to 11.4 bits in float16,
# 4.5 to 6.0 in int8. An output that is wrong by a tenth has 3.3.
ACCURACIES = {
    "onnx-fp16": Tolerance(bits=9.0),
    "onnx-int8": Tolerance(bits=4.0),
    "openvino-int8": Tolerance(bits=4.0),
    "litert-int8": Tolerance(bits=4.0),
}


def accuracy(format_name: str) -> Tolerance | None:
    """That of a format, or of a variant of one (`onnx-int8@ours`); None where a format keeps the model as it is."""
    return ACCURACIES.get(base_of(format_name))
