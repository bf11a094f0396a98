"""OpenVINO in C++, reading ONNX and its own format."""

from __future__ import annotations

from . import cpp
from .openvino import PRECISION_NOTE as PRECISION_NOTE
from .openvino import RELOADS as RELOADS

NAME = "openvino-cpp"
FAMILY = "openvino"
ENGINE = "openvino"
FORMATS = ("onnx", "onnx-legacy", "onnx-decomposed", "openvino", "onnx-fp16", "onnx-int8", "openvino-int8")
DEVICES = ("cpu",)
REQUIRES, unavailable, command = cpp.worker(ENGINE)
REPRO = "pytest_modelconform.repro.parts.openvino"
REPRO_NOTE = "It was seen in the C++ API of OpenVINO; the script tries the same library by its Python API."
MAIN = True
OPERATORS = ("openvino",)
PRECISIONS = ("full", "fast")
