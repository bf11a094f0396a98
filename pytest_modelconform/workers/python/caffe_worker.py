"""OpenCV 4 on a prototxt and a caffemodel."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from .. import flat
from ..arrays import Array
from ..loop import Handlers


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    cv2.setNumThreads(threads)

    def load(request: dict[str, Any]) -> flat.Model:
        text = request["model"]
        # The main environment's OpenCV 5, which is what types are checked with, doesn't have it.
        net = cv2.dnn.readNetFromCaffe(text, os.path.splitext(text)[0] + ".caffemodel")  # type: ignore[attr-defined]
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        # Not DNN_TARGET_CPU_FP16, which some processors have.
        net.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)
        # Its transform for convolutions of 3 x 3 costs 4 to 5 bits (deepCR: 15.3 of 19.7 were left in a column).
        net.enableWinograd(False)

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            for name, value in feeds.items():
                # It takes the bytes of an array whose strides are others for those of a row-major one.
                net.setInput(np.ascontiguousarray(value), name)
            return net.forward(list(fetches))

        return model

    return flat.handlers({"name": "caffe", "version": f"OpenCV {cv2.__version__}", "devices": ["cpu"]}, load)
