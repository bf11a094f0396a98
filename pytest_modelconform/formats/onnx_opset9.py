"""ONNX of 2019, by the older exporter: operator set 9, weights among the graph's inputs. What Caffe2 and MXNet read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import onnx_legacy
from .base import Signature
from .foreign import of_onnx

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "onnx-opset9"
SUFFIXES = (".onnx",)
RECORDS_NAMES = True
foreign = of_onnx
REQUIRES = ("torch", "onnx")
REPRO = "pytest_modelconform.repro.parts.export_onnx_legacy"
# Until version 4 of ONNX's format, a weight had to be an input of the graph as well.
REPRO_OPTIONS: dict[str, Any] = {"opset_version": 9, "keep_initializers_as_inputs": True}
EXPORT_OPTIONS = {name: (*left, *REPRO_OPTIONS) for name, left in onnx_legacy.EXPORT_OPTIONS.items()}


def export(built: Built, folder: Path) -> Signature:
    """`torch.onnx.export(…, dynamo=False, opset_version=9, keep_initializers_as_inputs=True)`."""
    return onnx_legacy.store(built, folder, **REPRO_OPTIONS)
