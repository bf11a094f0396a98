"""ONNX Runtime in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnxruntime

from .. import flat
from ..arrays import Array
from ..loop import Handlers

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""

    def load(request: dict[str, Any]) -> flat.Model:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(request["model"], options, providers=[PROVIDERS[device]])

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            return session.run(list(fetches), dict(feeds))

        return model

    available = set(onnxruntime.get_available_providers())
    devices = [name for name, provider in PROVIDERS.items() if provider in available]
    return flat.handlers({"name": "ort", "version": onnxruntime.__version__, "devices": devices}, load)
