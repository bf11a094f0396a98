"""ONNX by the older exporter, which builds on tracing."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import external_data, tensors_alone, translated
from .base import Signature, flat_signature
from .foreign import of_onnx
from .onnx import FUNCTION
from .opsets import check_opset, with_shapes_of_file
from .scripted import flat_call, is_script

if TYPE_CHECKING:
    import torch

    from ..workers.host.build import Built

    # A model, and the arguments of its call.
    Call = tuple[torch.nn.Module, tuple[Any, ...], dict[str, Any]]

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

_NUMBERS_NOTE = (
    "the older ONNX exporter makes an input of a number that forward computes with, of a default, too. Exported "
    "through a module around the model that gives {}; do the same, or callers have to feed it"
)
_BY_NAME_NOTE = (
    "the older ONNX exporter gives all of forward's parameters by place, and {} can only be given by name. Exported "
    "through a module around the model that does so; do the same"
)


def memory(size: int) -> float:
    """Bytes of memory that the exporter takes beside a model: transposed weights, and up to 2 GB copies of the file."""
    return (1.6 if size >= 2_000_000_000 else 3.2) * size


def export(built: Built, folder: Path) -> Signature:
    """`torch.onnx.export(…, dynamo=False)`."""
    return store(built, folder)


def store(built: Built, folder: Path, **options: Any) -> Signature:
    """Export with further options of `torch.onnx.export`."""
    names = [built.argument_name(leaf["path"]) for leaf in built.input_leaves]
    given = built.options.get(FUNCTION, {})
    # What the user calls them: the first ones, in the graph's order.
    renamed = list(given.get("input_names") or ())
    names = [*renamed[: len(names)], *names[len(renamed) :]]
    notes = []
    if is_script(built):
        graph = _exported(built, folder, (*flat_call(built), {}), names, options)
    elif by_name := _only_by_name(built):
        graph = _with_tensors_alone(built, folder, names, options)
        notes = [_BY_NAME_NOTE.format(", ".join(by_name))]
    else:
        graph, numbers = _as_it_is(built, folder, names, options)
        if numbers:
            notes = [_NUMBERS_NOTE.format(", ".join(f"{name}={value!r}" for name, value in numbers.items()))]
    signature = flat_signature("model.onnx", built, _inputs(graph), [value.name for value in graph.output], names)
    if "dynamic_axes" in given:
        signature = with_shapes_of_file(signature, folder)
    # Beyond 2 GB the exporter itself writes a file for each tensor.
    return signature | external_data.of_graph(graph) | ({"notes": notes} if notes else {})


def _as_it_is(
    built: Built, folder: Path, names: Sequence[str], options: Mapping[str, Any]
) -> tuple[Any, Mapping[str, Any]]:
    """The graph of the model itself, or where it would have inputs for them, of its tensors alone; then the numbers."""
    from torch.onnx.errors import UnsupportedOperatorError

    numbers = _numbers(built)
    refused = None
    try:
        graph = _exported(built, folder, (built.model, *built.clone_inputs()), names, options)
        if not numbers or all(name in names for name in _inputs(graph)):
            return graph, {}
    except UnsupportedOperatorError:
        raise
    except Exception as error:
        if not numbers:
            raise
        refused = error  # forward may have failed at a number that was a tensor here
    try:
        return _with_tensors_alone(built, folder, names, options), numbers
    except Exception as error:
        raise refused or error from None


def _with_tensors_alone(built: Built, folder: Path, names: Sequence[str], options: Mapping[str, Any]) -> Any:
    with tensors_alone.taken(built) as call:
        return _exported(built, folder, (call.model, call.values, {}), names, options)


def _exported(built: Built, folder: Path, call: Call, names: Sequence[str], options: Mapping[str, Any]) -> Any:
    """The graph of the file that it writes, an onnx.GraphProto."""
    import onnx
    import torch

    model, args, kwargs = call
    axes = {
        name: {axis: length for axis, length in enumerate(leaf["shape"]) if isinstance(length, str)}
        for name, leaf in zip(names, built.input_leaves, strict=True)
    }
    given = built.options.get(FUNCTION, {})
    # The fused path of nn.TransformerEncoderLayer is an operator that this exporter doesn't know. The host resets it.
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), translated.registered(built):
        torch.onnx.export(
            model,
            args,
            str(folder / "model.onnx"),
            # Without any it takes a dict at the end of `args` for them.
            kwargs=kwargs or ({} if args and isinstance(args[-1], dict) else None),
            dynamo=False,
            **{
                "input_names": list(names),
                "output_names": _output_names(built, names),
                "dynamic_axes": {name: dynamic for name, dynamic in axes.items() if dynamic},
                **options,
                **given,
            },
        )
    stored = onnx.load(folder / "model.onnx", load_external_data=False)
    check_opset(next((one.version for one in stored.opset_import if not one.domain), None), given)
    return stored.graph


def _output_names(built: Built, inputs: Sequence[str]) -> list[str]:
    """`output_0` for the result's `/0`; no input's name, since the exporter would call that input something else."""
    made: list[str] = []
    for path in built.output_paths:
        name = f"output{path}".replace("/", "_")
        while name in inputs or name in made:
            name += "_"
        made.append(name)
    return made


def _inputs(graph: Any) -> list[str]:
    constants = {tensor.name for tensor in graph.initializer}
    return [value.name for value in graph.input if value.name not in constants]


def _only_by_name(built: Built) -> list[str]:
    """Forward's parameters that can't be given by place, where this exporter gives all of them so, defaults, too."""
    from ..workers.host.forward import signature

    parameters = signature(built.model).parameters.values()
    own = [parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    return list(dict.fromkeys([*own, *tensors_alone.only_by_name(built)]))


def _numbers(built: Built) -> dict[str, Any]:
    """Numbers that forward takes, lists of such, and dtypes, by parameter: those of the call, and defaults."""
    import torch

    from ..workers.host.forward import is_constant, signature

    args, kwargs = built.clone_inputs()
    bound = signature(built.model).bind(*args, **kwargs)
    bound.apply_defaults()
    objects = (torch.dtype, torch.device, torch.layout, torch.memory_format, slice)
    return {
        name: value
        for name, value in bound.arguments.items()
        if isinstance(value, objects) or (is_constant(value) and not isinstance(value, (str, type(None))))
    }
