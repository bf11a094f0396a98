"""MNN's converter."""

from __future__ import annotations

from pathlib import Path

import _tools


def convert(path: Path) -> None:
    target = path.with_suffix(".mnn")
    # The extension behind the command mnnconvert.
    _tools.mnnconvert(
        ["mnnconvert", "-f", "ONNX", "--modelFile", str(path), "--MNNModel", str(target), "--bizCode", "x"]
    )
    assert target.exists(), "mnnconvert has written no model"
