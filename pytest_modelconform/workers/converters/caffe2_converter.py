"""ONNX into Caffe2's two nets, by Caffe2's own reader. Runs beside PyTorch 1.4 in Python 3.8."""

from __future__ import annotations

import os
from typing import Any

import onnx
import torch
from caffe2.python.onnx.backend import Caffe2Backend

from .. import convert
from ..loop import Handlers, WorkerError


def to_caffe2(source: str, signature: dict[str, Any], folder: str) -> dict[str, Any]:
    """Write `init_net.pb` and `predict_net.pb`."""
    model = onnx.load(os.path.join(source, signature["file"]))
    for node in model.graph.node:
        # The reader looks for "Pool" in the names of nodes as in their types, and then wants a kernel size of them.
        node.name = ""
    init, predict = Caffe2Backend.onnx_graph_to_caffe2_net(model, device="CPU")
    lost = {value["name"] for value in signature["outputs"]} - set(predict.external_output)
    if lost:
        raise WorkerError("the net doesn't return %s; it returns %s" % (sorted(lost), list(predict.external_output)))
    for name, net in (("init_net.pb", init), ("predict_net.pb", predict)):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(net.SerializeToString())
    return {**signature, "file": "predict_net.pb", "weights": "init_net.pb"}


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    return convert.handlers("caffe2", torch.__version__, to_caffe2)
