"""openvino.convert_model."""

from __future__ import annotations

from typing import Any

import openvino
import torch

from .tensor_files import HERE


def export(model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, facts: dict[str, Any]) -> None:
    with torch.no_grad():
        program = torch.export.export(model, args, kwargs, dynamic_shapes=dynamic_shapes)
    converted = openvino.convert_model(program)
    for place, port in enumerate(converted.outputs):
        port.get_tensor().add_names({f"output.{place}"})
    openvino.save_model(converted, HERE / "model.xml", compress_to_fp16=False)
