"""torch.onnx.export."""

from __future__ import annotations

from typing import Any

import torch

from .tensor_files import HERE


def export(model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, facts: dict[str, Any]) -> None:
    if args and isinstance(args[-1], dict) and not kwargs:
        args = (*args, {})  # it takes a dict at the end for arguments by name, whatever `kwargs` says
    with torch.no_grad():
        program = torch.onnx.export(
            model, args, kwargs=kwargs, dynamic_shapes=dynamic_shapes, dynamo=True, verbose=False
        )
    assert program is not None
    program.save(HERE / "model.onnx", external_data=False)
