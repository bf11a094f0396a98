"""The worker, in Python 3.8."""

from __future__ import annotations

from typing import Any, Dict

import onnx
from modelconform_workers import flat
from modelconform_workers.loop import Handlers
from onnx.reference import ReferenceEvaluator


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""

    def load(request: Dict[str, Any]) -> flat.Model:
        evaluator = ReferenceEvaluator(request["model"])
        return lambda feeds, fetches: evaluator.run(list(fetches), dict(feeds))

    return flat.handlers({"name": "outside", "version": onnx.__version__, "devices": ["cpu"]}, load)
