"""ONNX's own reference evaluator: operators in numpy, one after another, as the standard defines them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx.reference import ReferenceEvaluator

from .. import flat
from ..arrays import Array
from ..loop import Handlers


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`. The number of threads is the environment's: numpy asks it for the BLAS's."""

    def load(request: dict[str, Any]) -> flat.Model:
        evaluator = ReferenceEvaluator(request["model"])

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            found: list[Any] = evaluator.run(list(fetches), dict(feeds))  # type: ignore[assignment]  # a dict if asked
            return found

        return model

    return flat.handlers({"name": "onnx-reference", "version": onnx.__version__, "devices": ["cpu"]}, load)
