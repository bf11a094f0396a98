"""The converter, in Python 3.8. What the model's docstring says is done to it: see test_outside.py."""

from __future__ import annotations

import os
from typing import Any, Dict

import onnx
from modelconform_workers import convert
from modelconform_workers.loop import Handlers


def named(source: str, signature: Dict[str, Any], folder: str) -> Dict[str, Any]:
    """Name every node."""
    model = onnx.load(os.path.join(source, signature["file"]))
    for number, node in enumerate(model.graph.node):
        node.name = "node_%d" % number
        if node.op_type == "Erf":
            os.abort()
        if node.op_type == "Sin":
            raise ValueError("no sine here")
    onnx.save(model, os.path.join(folder, "named.onnx"))
    return {**signature, "file": "named.onnx"}


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    return convert.handlers("outside", onnx.__version__, named)
