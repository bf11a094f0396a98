"""Format `onnx`, whose exporter gets something wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_modelconform.formats import onnx as right
from pytest_modelconform.formats.base import Signature
from pytest_modelconform.formats.onnx import EXPORT_OPTIONS as EXPORT_OPTIONS
from pytest_modelconform.formats.onnx import MAIN as MAIN
from pytest_modelconform.formats.onnx import REQUIRES as REQUIRES

from . import told

if TYPE_CHECKING:
    from pytest_modelconform.workers.host.build import Built

NAME = "onnx"
REPRO = right.REPRO
tools = told.digest


def export(built: Built, folder: Path) -> Signature:
    """The real exporter's artifact of the case with the fault."""
    from .plant import planted

    return right.export(planted(built), folder)
