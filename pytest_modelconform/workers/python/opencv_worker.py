"""OpenCV's DNN module, reading ONNX with the engine that is new in OpenCV 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2

from .. import flat
from ..arrays import Array
from ..loop import Handlers


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    cv2.setNumThreads(threads)

    def load(request: dict[str, Any]) -> flat.Model:
        # The older engine, which is what OpenCV falls back to by itself, computes all in float32 and fixes shapes.
        net = cv2.dnn.readNetFromONNX(request["model"], cv2.dnn.ENGINE_NEW)

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            for name, array in feeds.items():
                net.setInput(array, name)
            return net.forward(list(fetches))

        return model

    return flat.handlers({"name": "opencv", "version": cv2.__version__, "devices": ["cpu"]}, load)
