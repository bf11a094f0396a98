from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.report.rerun import command, export_option
from pytest_modelconform.terms.cell import Cell

ORT = Cell("cases/net.py", "net", "onnx", "ort")
FAST = Cell("cases/my net.py", "net", "onnx", "ort", "cuda", precision="fast")


@pytest.mark.parametrize(
    ("cell", "given", "folder", "said"),
    [
        (ORT, (), "", "pytest --modelconform 'cases/net.py::net[onnx-ort-cpu]'"),
        (ORT, (), "cases", "pytest --modelconform 'net.py::net[onnx-ort-cpu]'"),
        (ORT, (), "other/deep", "pytest --modelconform '../../cases/net.py::net[onnx-ort-cpu]'"),
        # One of the two brings others, so that both are named.
        (
            ORT,
            ("runtimes", "json"),
            "",
            "pytest --modelconform --modelconform-formats=onnx --modelconform-runtimes=ort "
            "'cases/net.py::net[onnx-ort-cpu]'",
        ),
        (
            FAST,
            ("devices", "precisions"),
            "cases",
            "pytest --modelconform --modelconform-devices=cuda --modelconform-precisions=fast "
            "'my net.py::net[onnx-ort-cuda-fast]'",
        ),
        # Model checks are there with any options.
        (Cell("net.py", "net", "eager", "eager"), ("formats",), "", "pytest --modelconform 'net.py::net[eager]'"),
    ],
)
def test_the_command(cell: Cell, given: tuple[str, ...], folder: str, said: str) -> None:
    root = Path("/project")
    assert command(cell, given, root, root / folder) == said


def test_of_a_run_on_another_machine() -> None:
    assert (
        command(ORT, (), None, Path("/else"), ["--x"]) == "pytest --modelconform --x 'cases/net.py::net[onnx-ort-cpu]'"
    )


def test_options_for_exporters_are_those_of_the_column() -> None:
    exports = {"onnx@a": "onnx@a: opset_version=20", "onnx": "onnx: optimize=False"}
    assert export_option(ORT, exports) == ["--modelconform-export=onnx: optimize=False"]
    variant = Cell("cases/net.py", "net", "onnx@a", "ort")
    assert export_option(variant, exports) == ["--modelconform-export=onnx@a: opset_version=20"]
    assert export_option(Cell("cases/net.py", "net", "aoti", "torch"), exports) == []
