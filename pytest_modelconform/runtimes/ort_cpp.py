"""ONNX Runtime in C++."""

from __future__ import annotations

from . import cpp, taken

NAME = "ort-cpp"
FAMILY = "ort"
ENGINE = "ort"
FORMATS = ("onnx", "onnx-legacy", "onnx-decomposed", "onnx-fp16", "onnx-int8")
DEVICES = ("cpu",)
REQUIRES, unavailable, command = cpp.worker(ENGINE)
REPRO = "pytest_modelconform.repro.parts.ort"
REPRO_NOTE = "It was seen in the C++ API of ONNX Runtime; the script tries the same library by its Python API."
MAIN = True
OPERATORS = ("onnxruntime",)
PRECISIONS = ("full", "fast")
memory = taken.by_onnxruntime
