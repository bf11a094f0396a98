"""What runtimes take of memory to load and run an artifact, as benchmarks/big.py has measured it."""

from __future__ import annotations

from typing import Any

from ..terms.memory import LOAD


def by_onnxruntime(size: int, signature: dict[str, Any]) -> float:
    """Of ONNX Runtime, in bytes, for an artifact of `size` bytes.

    Weights beside the graph are mapped: 1.0 times for linear layers, 2.0 for nothing but convolutions, whose weights
    are written once more in another order; no model of that size is made of these alone. A file with everything in it
    takes 1.1 (linear layers) to 3.0 times (convolutions).
    """
    return (1.6 if signature.get("external") else LOAD) * size


def by_torch(size: int, signature: dict[str, Any]) -> float:
    """Of PyTorch in Python: 1.4 times, measured with linear layers and with convolutions."""
    is_measured = signature["format"] in ("torchscript-trace", "torchscript-script", "export")
    return (1.6 if is_measured else LOAD) * size


def by_libtorch(size: int, signature: dict[str, Any]) -> float:
    """Of libtorch in C++: 1.0 times."""
    is_measured = signature["format"] in ("torchscript-trace", "torchscript-script")
    return (1.3 if is_measured else LOAD) * size
