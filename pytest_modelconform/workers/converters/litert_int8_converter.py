"""LiteRT's .tflite with int8 weights and activations: Google's quantiser, calibrated."""

from __future__ import annotations

import importlib.metadata
import os
from typing import Any

import numpy as np

from .. import convert
from ..loop import Handlers, WorkerError


def to_int8(source: str, signature: dict[str, Any], folder: str, feeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Write `model.int8.tflite`: static int8, with inputs and outputs as they were.

    Raises WorkerError where no input set has the shapes of a model whose shapes are static.
    """
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import qtyping, quantizer, recipe

    path = os.path.join(source, signature["file"])
    interpreter = Interpreter(path)
    [key] = interpreter.get_signature_list()
    details = interpreter.get_signature_runner(key).get_input_details()
    if not feeds:
        raise WorkerError("no input set of the case fits the model, so that it can't be calibrated")
    made = quantizer.Quantizer(path, recipe.static_wi8_ai8())
    for outside in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
        made.update_quantization_recipe(".*", outside, algorithm_key=quantizer.AlgorithmName.NO_QUANTIZE)
    ranges = made.calibrate(
        {key: [{name: suited(array, details[name]) for name, array in feed.items()} for feed in feeds]}
    )
    made.quantize(ranges).export_model(os.path.join(folder, "model.int8.tflite"))
    return {**signature, "file": "model.int8.tflite"}


def suited(array: Any, details: dict[str, Any]) -> Any:
    """An array in the dtype that the model takes: LiteRT has 32 bits for integers of 64."""
    return np.ascontiguousarray(array).astype(details["dtype"], copy=False)


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    return convert.calibrated("litert-int8", importlib.metadata.version("ai-edge-quantizer"), to_int8)
