"""ONNX into a shared library, by TVM's Relax and LLVM, untuned."""

from __future__ import annotations

import os
from typing import Any

import onnx
import tvm
from tvm.relax.frontend.onnx import from_onnx

from .. import convert
from ..loop import Handlers


def to_tvm(source: str, signature: dict[str, Any], folder: str) -> dict[str, Any]:
    """Write `model.so`."""
    module = from_onnx(onnx.load(os.path.join(source, signature["file"])), keep_params_in_input=False)
    tvm.compile(module, target="llvm").export_library(os.path.join(folder, "model.so"))
    return {**signature, "file": "model.so"}


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    return convert.handlers("tvm", tvm.__version__, to_tvm)
