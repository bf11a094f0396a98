"""ONNX into IREE's module of machine code for the processor of this machine."""

from __future__ import annotations

import importlib.metadata
import os
from typing import Any

import onnx
from iree.compiler import tools
from iree.compiler.extras import onnx_importer
from iree.compiler.ir import Context

from .. import convert
from ..loop import Handlers, WorkerError

ARGUMENTS = [
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-llvmcpu-target-cpu=host",
]
# By default it makes float32 of float64, and gives outputs of float64 half their bytes.
_KEEP_FLOAT64 = "--iree-input-demote-f64-to-f32=false"


def to_iree(source: str, signature: dict[str, Any], folder: str) -> dict[str, Any]:
    """Write `model.vmfb`. Raises WorkerError with the compiler's diagnostics."""
    target = os.path.join(folder, "model.vmfb")
    model = onnx.load(os.path.join(source, signature["file"]))
    try:
        tools.compile_str(imported(model), input_type="onnx", output_file=target, extra_args=arguments(model))
    except tools.CompilerToolError as error:
        raise WorkerError(diagnostics(str(error)), kind=type(error).__name__, details=str(error)[-20000:]) from None
    return {**signature, "file": "model.vmfb"}


def arguments(model: onnx.ModelProto) -> list[str]:
    """The compiler's command line: float64 stays what it is where a model takes or returns it.

    Float64 that is inside only is left to its default: it has no sine and no tanh of float64.
    """
    kinds = {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    return [*ARGUMENTS, *([_KEEP_FLOAT64] if onnx.TensorProto.DOUBLE in kinds else [])]


def imported(model: onnx.ModelProto) -> str:
    """The graph in MLIR, as `iree-import-onnx` makes it: with the shapes that ONNX infers."""
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    information = onnx_importer.ModelInfo(model)
    module = information.create_module(context=Context()).operation
    onnx_importer.NodeImporter.define_function(information.main_graph, module).import_all()
    module.verify()
    return str(module.get_asm())


def diagnostics(said: str) -> str:
    """The first error in what the compiler printed, which also holds the whole module."""
    errors = [line.strip() for line in said.splitlines() if "error:" in line]
    return "iree-compile: " + (errors[0] if errors else said.strip()[:500])


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    return convert.handlers("iree", importlib.metadata.version("iree-base-compiler"), to_iree)
