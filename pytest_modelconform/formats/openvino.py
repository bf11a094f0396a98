"""OpenVINO's own format, made from an ExportedProgram: `model.xml` and its weights, `model.bin`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..terms.case import INT8
from .base import ExportMismatch, Signature, flat_signature
from .foreign import of_openvino
from .program import EXPORT_OPTIONS, exported, input_names
from .quantised import unfolded

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "openvino"
SUFFIXES = (".xml",)
foreign = of_openvino
REQUIRES = ("torch", "openvino")
OPERATORS = ("openvino",)
QUANTISED = True
REPRO = "pytest_modelconform.repro.parts.export_openvino"
# Other inputs, outputs or shapes than the program's could not be matched with the model's.
EXPORT_OPTIONS = {
    **EXPORT_OPTIONS,
    "openvino.convert_model": ("input_model", "input", "output", "example_input"),
    "openvino.save_model": (),
}


def export(built: Built, folder: Path) -> Signature:
    """`openvino.convert_model(ExportedProgram)` and `openvino.save_model`, with the weights as they are."""
    import openvino

    program = exported(unfolded(built) if built.dtype == INT8 else built)
    given = {"extension": list(built.libraries) or None, **built.options.get("openvino.convert_model", {})}
    model = openvino.convert_model(program, **given)
    # OpenVINO calls outputs after the operation that makes them; a dot is in no argument's name.
    outputs = [f"output.{i}" for i in range(len(model.outputs))]
    for port, name in zip(model.outputs, outputs, strict=True):
        # Added, not set: where a model returns an input as it is, the tensor also has that one's name.
        port.get_tensor().add_names({name})
    # By default the weights become float16.
    saving = {"compress_to_fp16": False, **built.options.get("openvino.save_model", {})}
    openvino.save_model(model, folder / "model.xml", **saving)
    names = input_names(program)
    stored = openvino.Core().read_model(folder / "model.xml").inputs
    if len(stored) != len(names):
        takes = f"OpenVINO's model takes {len(stored)} inputs, the program {len(names)}"
        raise ExportMismatch(f"{takes} ({', '.join(names)})")
    # By position, which is the program's, unused ones included. Names mislead: OpenVINO counts tensors and looks up the
    # names of arguments, of which a list or a dict holds several, and the file keeps the output's name alone for an
    # input that is returned as it is.
    inputs = [min(port.get_names()) for port in stored]
    return flat_signature("model.xml", built, inputs, outputs, inputs)
