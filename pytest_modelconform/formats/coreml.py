"""Core ML's `model.mlpackage`, in float32, made from a decomposed ExportedProgram; its spec is read back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base import ExportMismatch, Signature, flat_signature
from .foreign import of_coreml
from .program import EXPORT_OPTIONS, dynamic_or_static, exported_with, input_names, output_values

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "coreml"
SUFFIXES = (".mlpackage",)
foreign = of_coreml
REQUIRES = ("torch", "coremltools")
# What a Core ML model takes and gives for a dtype of torch's; it has no others. Its own names.
STORED = {
    "float16": "FLOAT16",
    "float32": "FLOAT32",
    "bool": "FLOAT32",
    "uint8": "INT32",
    "int8": "INT32",
    "int16": "INT32",
    "int32": "INT32",
    "int64": "INT32",
}
EXPORT_OPTIONS = {
    **EXPORT_OPTIONS,
    "coremltools.convert": (
        *("model", "source", "inputs", "outputs", "convert_to", "classifier_config", "states", "package_dir"),
        *("skip_model_load", "compute_units", "debug"),
    ),
}


def export(built: Built, folder: Path) -> Signature:
    """`coremltools.convert` with dynamic shapes if it can, else with those of the exporters' input set."""

    def convert(shapes: Any) -> Signature:
        import coremltools

        program = exported_with(built, shapes).run_decompositions()
        model = coremltools.convert(
            program,
            convert_to="mlprogram",
            # The default precision is float16.
            **{
                "minimum_deployment_target": coremltools.target.iOS17,
                "compute_precision": coremltools.precision.FLOAT32,
                **built.options.get("coremltools.convert", {}),
            },
        )
        model.save(str(folder / "model.mlpackage"))
        description = coremltools.models.utils.load_spec(str(folder / "model.mlpackage")).description
        values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
        names = input_names(program)
        check_features("input", description.input, [values[name] for name in names])
        results = output_values(program)
        check_features("output", description.output, results)
        inputs, outputs = ([f.name for f in features] for features in (description.input, description.output))
        signature = flat_signature("model.mlpackage", built, inputs, outputs, [stored_as(n, inputs) for n in names])
        # As numbers 0 and 1: Core ML has no tensors of bool.
        booleans = [name for name, value in zip(outputs, results, strict=True) if dtype_name(value) == "bool"]
        return {**signature, "booleans": booleans}

    return dynamic_or_static(built, convert)


def stored_as(name: str, features: Sequence[str]) -> str:
    """What coremltools calls an input. It renames what its text format can't have: "state", "int8", "_x"."""
    candidates = (name, f"{name}_workaround", f"var{name}")
    return next((candidate for candidate in candidates if candidate in features), name)


def dtype_name(value: Any) -> str:
    """PyTorch's name of a tensor's dtype."""
    return str(value.dtype).removeprefix("torch.")


def check_features(what: str, features: Sequence[Any], values: Sequence[Any]) -> None:
    """Compare what a spec declares with the program's tensors. Raises ExportMismatch.

    features: `description.input` or `.output` of a Core ML spec. values: the program's, in the same order; lengths that
    are no integers are dynamic.
    """
    if len(features) != len(values):
        said = ", ".join(feature.name for feature in features)
        raise ExportMismatch(f"the spec has {len(features)} {what}s ({said}), the program has {len(values)}")
    for feature, value in zip(features, values, strict=True):
        array = feature.type.multiArrayType
        found = array.ArrayDataType.Name(array.dataType)
        wanted = STORED.get(dtype_name(value))
        if found != wanted:
            raise ExportMismatch(
                f"{what} {feature.name} is {found} in the spec and {dtype_name(value)} in the program, for which Core "
                f"ML has {wanted or 'nothing'}"
            )
        ranges = [(r.lowerBound, r.upperBound) for r in array.shapeRange.sizeRanges]
        shape = ranges or [(length, length) for length in array.shape]
        # Outputs whose shape depends on the input's have none in the spec.
        if what == "output" and not shape:
            continue
        fits = len(shape) == len(value.shape) and all(
            low == high == length if isinstance(length, int) else low < high or high < 0
            for (low, high), length in zip(shape, value.shape, strict=True)
        )
        if not fits:
            raise ExportMismatch(
                f"{what} {feature.name} has the shape {shape} in the spec (from, to) and {list(value.shape)} in the "
                "program"
            )
