"""IREE's compiler."""

from __future__ import annotations

from pathlib import Path

import onnx
from iree.compiler import tools
from iree.compiler.extras import onnx_importer
from iree.compiler.ir import Context

ARGUMENTS = [
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-llvmcpu-target-cpu=host",
]


def convert(path: Path) -> None:
    # What iree-import-onnx does.
    model = onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
    kinds = {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    # By default it makes float32 of float64, and gives outputs of float64 half their bytes.
    keep = ["--iree-input-demote-f64-to-f32=false"] if onnx.TensorProto.DOUBLE in kinds else []
    information = onnx_importer.ModelInfo(model)
    module = information.create_module(context=Context()).operation
    onnx_importer.NodeImporter.define_function(information.main_graph, module).import_all()
    module.verify()
    target = str(path.with_suffix(".vmfb"))
    tools.compile_str(str(module.get_asm()), input_type="onnx", output_file=target, extra_args=ARGUMENTS + keep)
