"""LiteRT's .tflite, by litert_torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base import Signature, flat_signature
from .foreign import of_litert
from .program import dynamic_or_static
from .scripted import module_for_export

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "litert"
SUFFIXES = (".tflite",)
foreign = of_litert
REQUIRES = ("torch", "litert-torch", "ai-edge-litert")
REPRO = "pytest_modelconform.repro.parts.export_litert"
# Its import makes JAX keep 64-bit numbers in the whole process, and silences torch's log.
HOST = "litert"
FRAMEWORKS = {
    "torch": __name__,
    **dict.fromkeys(("keras", "tensorflow"), "pytest_modelconform.formats.frameworks.tensorflow_litert"),
}
# The others write elsewhere, or free what the case host still needs.
EXPORT_OPTIONS = {
    "litert_torch.convert": (
        *("module", "sample_args", "sample_kwargs", "dynamic_shapes", "export_dir", "output_file_path"),
        *("delete_in_memory_params", "weights_loader", "enable_debug", "debug_dir", "enable_timing"),
    )
}


def export(built: Built, folder: Path) -> Signature:
    """`litert_torch.convert`: with dynamic shapes if it can, else with those of the exporters' input set."""

    def convert(shapes: Any) -> Signature:
        import litert_torch
        import torch
        from ai_edge_litert.interpreter import Interpreter

        args, kwargs = built.clone_inputs()
        with torch.no_grad():
            given = built.options.get("litert_torch.convert", {})
            model = litert_torch.convert(module_for_export(built), args, kwargs, dynamic_shapes=shapes, **given)
        path = folder / "model.tflite"
        model.export(str(path))
        [signature] = Interpreter(str(path)).get_signature_list().values()
        # `/args/0` is args_0 and `/kwargs/state/1` state_1.
        names = [leaf["path"].removeprefix("/kwargs").strip("/").replace("/", "_") for leaf in built.input_leaves]
        return flat_signature("model.tflite", built, signature["inputs"], output_names(built, signature), names)

    return dynamic_or_static(built, convert)


def output_names(built: Built, signature: dict[str, Any]) -> list[str]:
    """The results' names in the model's order. LiteRT lists them sorted as text, `output_10` before `output_2`."""
    names: list[str] = signature["outputs"]
    by_path = [path.strip("/").replace("/", "_") for path in built.output_paths]
    counted = [f"output_{i}" for i in range(len(names))]
    # Those of a dict are called after its keys.
    return by_path if sorted(by_path) == sorted(names) else counted if sorted(counted) == sorted(names) else names
