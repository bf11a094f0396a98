"""OpenCV's DNN module, reading ONNX with the engine that is new in OpenCV 5."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import cv2

from .. import flat, words
from ..arrays import Array
from ..loop import Handlers, WorkerError


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    cv2.setNumThreads(threads)

    def load(request: dict[str, Any]) -> flat.Model:
        # The older engine, which is what OpenCV falls back to by itself, computes all in float32 and fixes shapes.
        with words.caught() as said:
            net = cv2.dnn.readNetFromONNX(request["model"], cv2.dnn.ENGINE_NEW)
        # What it can't read it only logs, and an empty net refuses its first input as unknown.
        if net.empty():
            raise WorkerError(f"OpenCV can't read the file: {_unread(said)}")

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            for name, array in feeds.items():
                net.setInput(array, name)
            return net.forward(list(fetches))

        return model

    return flat.handlers({"name": "opencv", "version": cv2.__version__, "devices": ["cpu"]}, load)


def _unread(said: words.Words) -> str:
    """Which operators it does not have, or its last words."""
    _, found, names = said.text.partition("Unsupported operations:\n")
    operators = [line.strip() for line in names.splitlines() if line.startswith("\t")]
    if found and operators:
        return f"unsupported operations: {', '.join(operators)}"
    lines = [line for line in map(_said, said.text.splitlines()) if line and "the older parser" not in line]
    return lines[-1] if lines else "it doesn't say why"


def _said(line: str) -> str:
    """A line of its log, without level, time and place: all runs have the same words then."""
    return re.sub(r"^\[ *\w+:\d+@[\d.]+\] \w+ \S+:\d+ ", "", line).strip()
