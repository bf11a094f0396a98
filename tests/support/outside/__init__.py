"""What another package adds through the hook: a format made from ONNX, and a runtime that lives in a Python 3.8."""

from __future__ import annotations

from pytest_modelconform.cells.registry import Registry
from pytest_modelconform.environments import Environment

# The reference evaluator of an older onnx, in a Python that can't have today's.
OLD_ONNX = Environment(
    "outside-onnx",
    ("onnx==1.17.0", "numpy==1.24.4"),
    python="3.8",
    check="import onnx.reference",
    megabytes=150,
)


def pytest_modelconform_register(registry: Registry) -> None:
    """The hook."""
    registry.add_format("outside", "tests.support.outside.outside_format")
    registry.add_runtime("outside", "tests.support.outside.outside_runtime")
