"""ONNX into MXNet's symbol and parameters, by MXNet's own reader. Runs in Python 3.8."""

from __future__ import annotations

import os
from typing import Any

import mxnet
import onnx
from mxnet.contrib import onnx as reader

from .. import convert
from ..loop import Handlers, WorkerError


def to_mxnet(source: str, signature: dict[str, Any], folder: str) -> dict[str, Any]:
    """Write `model-symbol.json` and `model-0000.params`, the names that MXNet gives a checkpoint's files."""
    model = onnx.load(os.path.join(source, signature["file"]))
    constants_to_weights(model.graph)
    # The reader takes a file only.
    prepared = os.path.join(folder, "model.onnx")
    onnx.save(model, prepared)
    symbol, arguments, auxiliary = reader.import_model(prepared)
    os.remove(prepared)
    outputs = symbol.list_outputs()
    if len(outputs) != len(signature["outputs"]):
        raise WorkerError("the symbol has outputs %s, the graph %d" % (outputs, len(signature["outputs"])))
    mxnet.model.save_checkpoint(os.path.join(folder, "model"), 0, symbol, arguments, auxiliary)
    # Outputs keep their order; their names are those of the operators that make them.
    renamed = [{**value, "name": name} for value, name in zip(signature["outputs"], outputs)]
    return {**signature, "file": "model-symbol.json", "weights": "model-0000.params", "outputs": renamed}


def constants_to_weights(graph: Any) -> None:
    """Make weights of a graph's Constant nodes: the reader takes these for an identity of an input that there isn't."""
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        tensor = graph.initializer.add()
        tensor.CopyFrom(node.attribute[0].t)
        tensor.name = node.output[0]
        graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        graph.node.remove(node)


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    return convert.handlers("mxnet", mxnet.__version__, to_mxnet)
