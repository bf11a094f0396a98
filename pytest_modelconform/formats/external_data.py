"""Weights of an ONNX model in files beside it: from a size on, since a protobuf holds 2 GB at most."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .base import Signature

# Bytes of weights from which they go to a file beside the graph. Readers of a protobuf make copies of it on the way.
LEAST = int(os.environ.get("MODELCONFORM_EXTERNAL_DATA") or 1_500_000_000)
# Of that file, beside `model.onnx`.
FILE = "model.onnx.data"


def described(folder: Path) -> Signature:
    """What a signature says of the file, in which artifacts have it."""
    return {"external": [FILE]} if (folder / FILE).is_file() else {}


def of_graph(graph: Any) -> Signature:
    """The same of an onnx.GraphProto, whose weights may be in several files of any name."""
    entries = (entry for tensor in graph.initializer for entry in tensor.external_data)
    names = sorted({entry.value for entry in entries if entry.key == "location"})
    return {"external": names} if names else {}
