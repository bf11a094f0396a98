"""ONNX's reference evaluator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnx.reference import ReferenceEvaluator


def load(path: Path, device: str, fast: bool) -> Any:
    return ReferenceEvaluator(str(path))


def run(model: Any, inputs: dict[str, Any], outputs: list[str]) -> list[Any]:
    found: list[Any] = model.run(outputs, inputs)
    return found
