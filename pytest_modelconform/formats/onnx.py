"""ONNX by the exporter that builds on torch.export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import external_data
from .base import Signature, flat_signature
from .foreign import of_onnx
from .program import input_names
from .scripted import module_for_export

if TYPE_CHECKING:
    from torch.onnx import ONNXProgram

    from ..workers.host.build import Built

NAME = "onnx"
SUFFIXES = (".onnx",)
RECORDS_NAMES = True
foreign = of_onnx
REQUIRES = ("torch", "onnx", "onnxscript")
QUANTISED = True
REPRO = "pytest_modelconform.repro.parts.export_onnx"
MAIN = True
FRAMEWORKS = {
    "torch": __name__,
    "onnx": "pytest_modelconform.formats.frameworks.onnx_file",
    "keras": "pytest_modelconform.formats.frameworks.tensorflow_onnx",
    "tensorflow": "pytest_modelconform.formats.frameworks.tensorflow_onnx",
}


def memory(size: int) -> float:
    """Bytes of memory that the exporter takes beside a model: copies of a protobuf that holds the weights, too."""
    return (0.3 if size >= external_data.LEAST else 3.2) * size


def export(built: Built, folder: Path) -> Signature:
    """`torch.onnx.export(…, dynamo=True)`."""
    import torch

    args, kwargs = built.clone_inputs()
    with torch.no_grad():
        program = torch.onnx.export(
            module_for_export(built),
            args,
            kwargs=kwargs,
            dynamic_shapes=built.dynamic_shapes,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return store(program, built, folder)


def store(program: ONNXProgram, built: Built, folder: Path) -> Signature:
    """Write an exporter's program to `folder`. Also used by onnx-decomposed."""
    graph = program.model.graph
    weights = (value.const_value for value in graph.initializers.values())
    size = sum(value.nbytes for value in weights if value is not None)
    program.save(folder / "model.onnx", external_data=size >= external_data.LEAST)
    assert program.exported_program is not None
    initializers = set(graph.initializers)
    inputs = [value.name or "" for value in graph.inputs if value.name not in initializers]
    outputs = [value.name or "" for value in graph.outputs]
    # The graph's inputs are named like the program's; one that is returned as it is leaves its name to the output.
    names = [
        f"{name}_orig" if name not in inputs and name in outputs else name
        for name in input_names(program.exported_program)
    ]
    return flat_signature("model.onnx", built, inputs, outputs, names) | external_data.described(folder)
