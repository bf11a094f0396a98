"""OpenCV's DNN module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2


def load(path: Path, device: str, fast: bool) -> Any:
    # Not ENGINE_AUTO, which falls back to the older engine without a word.
    return cv2.dnn.readNetFromONNX(str(path), cv2.dnn.ENGINE_NEW)


def run(model: Any, inputs: dict[str, Any], outputs: list[str]) -> list[Any]:
    for name, array in inputs.items():
        model.setInput(array, name)
    return list(model.forward(outputs))
