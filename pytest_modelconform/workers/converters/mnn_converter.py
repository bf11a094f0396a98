"""ONNX into MNN's format, by MNN's own converter."""

from __future__ import annotations

import os
from typing import Any

import MNN

from .. import convert, words
from ..loop import Handlers, WorkerError


def to_mnn(source: str, signature: dict[str, Any], folder: str) -> dict[str, Any]:
    """Write `model.mnn`. Raises WorkerError with the converter's last words, since it itself reports no failure."""
    # The extension behind the command `mnnconvert`, which at its start installs a package by pip and calls home.
    import _tools

    target = os.path.join(folder, "model.mnn")
    options = ["-f", "ONNX", "--modelFile", os.path.join(source, signature["file"]), "--MNNModel", target]
    with words.caught() as said:
        _tools.mnnconvert(["mnnconvert", *options, "--bizCode", "modelconform"])
    if not os.path.exists(target):
        raise WorkerError(f"mnnconvert wrote no model: {said.last()}", details=said.text)
    return {**signature, "file": "model.mnn"}


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    return convert.handlers("mnn", MNN.version(), to_mnn)
