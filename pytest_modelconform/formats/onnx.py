"""ONNX by the exporter that builds on torch.export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..terms.wording import output_name
from . import external_data, translated
from .base import Signature, flat_signature
from .foreign import of_onnx
from .opsets import check_opset, with_shapes_of_file
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
FUNCTION = "torch.onnx.export"
FRAMEWORKS = {
    "torch": __name__,
    "onnx": "pytest_modelconform.formats.frameworks.onnx_file",
    "keras": "pytest_modelconform.formats.frameworks.tensorflow_onnx",
    "tensorflow": "pytest_modelconform.formats.frameworks.tensorflow_onnx",
}


def memory(size: int) -> float:
    """Bytes of memory that the exporter takes beside a model: copies of a protobuf that holds the weights, too."""
    return (0.3 if size >= external_data.LEAST else 3.2) * size


# What only the older exporter heeds, and what would write more than the model, or somewhere else.
EXPORT_OPTIONS = {
    FUNCTION: (
        *("model", "args", "f", "kwargs", "dynamo", "dynamic_shapes"),
        *("report", "profile", "dump_exported_program", "artifacts_dir"),
        *("training", "operator_export_type", "do_constant_folding", "custom_opsets", "export_modules_as_functions"),
        "autograd_inlining",
    )
}
_PAIRS_NOTE = (
    "ONNX's operators have no complex numbers: in the file, {} {} pairs of real ones, with a last dimension of 2 "
    "(`torch.view_as_real`, `torch.view_as_complex`)"
)
# Options of that function which it heeds when it writes a file itself.
_AT_SAVE = {
    "external_data": "external_data",
    "keep_initializers_as_inputs": "keep_initializers_as_inputs",
    "export_params": "include_initializers",
}


def at_export(built: Built) -> dict[str, Any]:
    """The options for the exporter's call, without those for writing the file."""
    return {name: value for name, value in built.options.get(FUNCTION, {}).items() if name not in _AT_SAVE}


def export(built: Built, folder: Path) -> Signature:
    """`torch.onnx.export(…, dynamo=True)`."""
    import torch

    args, kwargs = built.clone_inputs()
    given = at_export(built)
    # The exporter derives the shapes from these only where it is given none.
    shapes = None if "dynamic_axes" in given else built.dynamic_shapes
    if args and isinstance(args[-1], dict) and not kwargs:
        args = (*args, {})  # it takes a dict at the end for arguments by name, whatever `kwargs` says
    with torch.no_grad():
        program = torch.onnx.export(
            module_for_export(built),
            args,
            kwargs=kwargs,
            dynamic_shapes=shapes,
            dynamo=True,
            **{"verbose": False, **translated.options(built), **given},
        )
    assert program is not None
    return store(program, built, folder)


def store(program: ONNXProgram, built: Built, folder: Path) -> Signature:
    """Write an exporter's program to `folder`. Also used by onnx-decomposed."""
    graph = program.model.graph
    weights = (value.const_value for value in graph.initializers.values())
    size = sum(value.nbytes for value in weights if value is not None)
    given = built.options.get(FUNCTION, {})
    saving = {_AT_SAVE[name]: value for name, value in given.items() if name in _AT_SAVE}
    program.save(folder / "model.onnx", **{"external_data": size >= external_data.LEAST, **saving})
    check_opset(program.model.opset_imports.get(""), given)
    assert program.exported_program is not None
    initializers = set(graph.initializers)
    inputs = [value.name or "" for value in graph.inputs if value.name not in initializers]
    outputs = [value.name or "" for value in graph.outputs]
    # The graph's inputs are named like the program's; one that is returned as it is leaves its name to the output.
    names = [
        f"{name}_orig" if name not in inputs and name in outputs else name
        for name in input_names(program.exported_program)
    ]
    # What the user calls them: the first ones, in the graph's order.
    renamed = list(given.get("input_names") or ())
    names = [*renamed[: len(names)], *names[len(renamed) :]]
    signature = flat_signature("model.onnx", built, inputs, outputs, names) | external_data.described(folder)
    signature |= _pairs(program, built)
    return with_shapes_of_file(signature, folder) if "dynamic_axes" in given else signature


def _pairs(program: ONNXProgram, built: Built) -> Signature:
    """What the signature says of a model that takes or returns complex numbers: the file has pairs of real ones."""
    from torch.export.graph_signature import ConstantArgument, OutputKind

    exported = program.exported_program
    assert exported is not None
    found = [built.argument_name(leaf["path"]) for leaf in built.input_leaves if leaf["dtype"].startswith("complex")]
    values = {node.name: node.meta.get("val") for node in exported.graph.nodes}
    returned = [spec.arg for spec in exported.graph_signature.output_specs if spec.kind == OutputKind.USER_OUTPUT]
    # None and other constants are no outputs of the file.
    names = [arg.name for arg in returned if not isinstance(arg, ConstantArgument)]
    for name, path in zip(names, built.output_paths, strict=True):
        if getattr(values[name], "is_complex", bool)():
            found.append(output_name(path))
    if not found:
        return {}
    return {"pairs": True, "notes": [_PAIRS_NOTE.format(", ".join(found), "is" if len(found) == 1 else "are")]}
