"""TVM's Relax."""

from __future__ import annotations

from pathlib import Path

import onnx
import tvm
from tvm.relax.frontend.onnx import from_onnx


def convert(path: Path) -> None:
    module = from_onnx(onnx.load(path), keep_params_in_input=False)
    tvm.compile(module, target="llvm").export_library(str(path.with_suffix(".so")))
