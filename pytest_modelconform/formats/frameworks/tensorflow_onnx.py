"""A case in Keras or TensorFlow as ONNX, by tf2onnx."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import Signature, flat_signature
from .tensorflow_saved import function_of

if TYPE_CHECKING:
    from ...workers.host.build import Built

# The newest that tf2onnx writes.
OPSET = 18


def export(built: Built, folder: Path) -> Signature:
    """`tf2onnx.convert.from_function`."""
    import tensorflow as tf
    import tf2onnx

    model: Any = built.model
    adapter = model.adapter
    adapter.assign(model.framework_parameters())
    serve, specs = function_of(built, adapter)
    names = list(specs)
    function = tf.function(lambda *tensors: serve(**dict(zip(names, tensors, strict=True))), autograph=False)
    stored, _ = tf2onnx.convert.from_function(
        function, input_signature=list(specs.values()), opset=OPSET, output_path=str(folder / "model.onnx")
    )
    graph = stored.graph
    return flat_signature(
        "model.onnx", built, [value.name for value in graph.input], [value.name for value in graph.output], names
    )
