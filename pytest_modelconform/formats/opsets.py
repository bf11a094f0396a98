"""What an ONNX file came to, beside the options that it was asked for with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .base import ExportMismatch, Signature
from .foreign import of_onnx

_OPTION = "opset_version"


def check_opset(stored: int | None, options: Mapping[str, Any]) -> None:
    """Raises ExportMismatch where the file has another operator set than the one that was asked for.

    The exporter converts to an older one if it can, and otherwise keeps its own, with no more than a line in a log.
    """
    wanted = options.get(_OPTION)
    if wanted is not None and stored != wanted:
        raise ExportMismatch(
            f"{_OPTION}={wanted} was asked for, and the exporter wrote operator set {stored}, since it could not "
            f"convert the model to {wanted}: ask for {stored}, or for one in between"
        )


def with_shapes_of_file(signature: Signature, folder: Path) -> Signature:
    """The signature with the shapes that the graph itself declares: the options may have made other axes dynamic."""
    declared = of_onnx(folder / signature["file"])
    assert declared is not None
    shapes = {value["name"]: value["shape"] for value in declared["inputs"]}
    return {
        **signature,
        "inputs": [{**value, "shape": shapes.get(value["name"], value["shape"])} for value in signature["inputs"]],
    }
