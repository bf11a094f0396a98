"""How exact an artifact has to be whose format makes it less exact: what was asked for, and not what rounding does.

Float32 arithmetic is judged by its noise. A format that quantises has no noise to be judged by: how much is lost
depends on the model and on its inputs, and is what users want to know. So its cells are judged by a stated number of
right bits, and say how many there are.
"""

from __future__ import annotations

from dataclasses import replace

from .case import Tolerance
from .exports import base_of
from .runs import ZEROS

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


# Of generated input sets, by which int8 formats were not calibrated. BERT with one token instead of nine, measured: 2.3
# to 2.9. An output that is altogether another one has none.
UNCALIBRATED = 1.0


# Of zeros, only what is NaN or infinite. Sums of equal terms are rounded alike all over, so that noise says little of
# them: images of one colour have lost 2.9 bits in a faithful runtime.
_DEFINED = Tolerance(bits=-60.0)


def of_generated(format_name: str, tolerance: Tolerance, name: str) -> Tolerance:
    """The tolerance for a generated input set of a cell: the stated accuracy of int8 is that of inputs like the case's.

    tolerance: the cell's. One that the case gives itself holds for all sets but that of zeros. name: the set's.
    """
    if name == ZEROS:
        return _DEFINED
    stated = accuracy(format_name)
    if stated is None or tolerance != stated or not base_of(format_name).endswith("-int8"):
        return tolerance
    return replace(tolerance, bits=UNCALIBRATED)
