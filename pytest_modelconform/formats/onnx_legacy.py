"""ONNX by the older exporter, which builds on tracing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import external_data, translated
from .base import ExportMismatch, Signature, flat_signature
from .foreign import of_onnx
from .onnx import FUNCTION
from .opsets import check_opset, with_shapes_of_file
from .scripted import flat_call, is_script

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "onnx-legacy"
SUFFIXES = (".onnx",)
RECORDS_NAMES = True
foreign = of_onnx
REQUIRES = ("torch", "onnx")
REPRO = "pytest_modelconform.repro.parts.export_onnx_legacy"
MAIN = True
# What the newer exporter takes, and what would write elsewhere.
EXPORT_OPTIONS = {
    FUNCTION: (
        *("model", "args", "f", "kwargs", "dynamo", "dynamic_shapes", "external_data"),
        *("custom_translation_table", "report", "optimize", "verify", "profile", "dump_exported_program"),
        "artifacts_dir",
    )
}


def memory(size: int) -> float:
    """Bytes of memory that the exporter takes beside a model: transposed weights, and up to 2 GB copies of the file."""
    return (1.6 if size >= 2_000_000_000 else 3.2) * size


def export(built: Built, folder: Path) -> Signature:
    """`torch.onnx.export(…, dynamo=False)`."""
    return store(built, folder)


def store(built: Built, folder: Path, **options: Any) -> Signature:
    """Export with further options of `torch.onnx.export`."""
    import onnx
    import torch

    model: torch.nn.Module = built.model
    args, kwargs = built.clone_inputs()
    if is_script(built):
        (model, args), kwargs = flat_call(built), {}
    names = [built.argument_name(leaf["path"]) for leaf in built.input_leaves]
    outputs = [f"output{path}".replace("/", "_") for path in built.output_paths]
    axes = {
        name: {axis: length for axis, length in enumerate(leaf["shape"]) if isinstance(length, str)}
        for name, leaf in zip(names, built.input_leaves, strict=True)
    }
    given = built.options.get(FUNCTION, {})
    # What the user calls them: the first ones, in the graph's order.
    renamed = list(given.get("input_names") or ())
    names = [*renamed[: len(names)], *names[len(renamed) :]]
    # The fused path of nn.TransformerEncoderLayer is an operator that this exporter doesn't know. The host resets it.
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), translated.registered(built):
        torch.onnx.export(
            model,
            args,
            str(folder / "model.onnx"),
            kwargs=kwargs or None,
            dynamo=False,
            **{
                "input_names": names,
                "output_names": outputs,
                "dynamic_axes": {name: dynamic for name, dynamic in axes.items() if dynamic},
                **options,
                **given,
            },
        )
    stored = onnx.load(folder / "model.onnx", load_external_data=False)
    check_opset(next((one.version for one in stored.opset_import if not one.domain), None), given)
    graph = stored.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value.name for value in graph.input if value.name not in constants]
    _check_numbers(built, inputs, names)
    signature = flat_signature("model.onnx", built, inputs, [value.name for value in graph.output], names)
    if "dynamic_axes" in given:
        signature = with_shapes_of_file(signature, folder)
    # Beyond 2 GB the exporter itself writes a file for each tensor.
    return signature | external_data.of_graph(graph)


def _check_numbers(built: Built, inputs: Sequence[str], names: Sequence[str]) -> None:
    """Raise ExportMismatch where a number became an input of the graph: this exporter feeds forward's defaults, too."""
    from ..workers.host.forward import signature

    strange = [name for name in inputs if name not in names]
    if not strange:
        return
    args, kwargs = built.clone_inputs()
    bound = signature(built.model).bind(*args, **kwargs)
    bound.apply_defaults()
    numbers = {name: value for name, value in bound.arguments.items() if isinstance(value, (bool, int, float))}
    if numbers:
        raise ExportMismatch(
            f"the older ONNX exporter makes an input of each number that forward takes: graph input {strange[0]!r}, "
            f"where forward has {', '.join(f'{name}={value!r}' for name, value in numbers.items())}"
        )
