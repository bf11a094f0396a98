"""The columns of the whole matrix in groups, in the order in which they run: cheap ones that tell much come first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.exports import base_of

_READERS = ("ort", "ort-cpp", "openvino", "openvino-cpp")
_ONNX = ("onnx", "onnx-legacy")


@dataclass(frozen=True)
class Group:
    """Formats, and runtimes that load them: one session of pytest's at a time."""

    name: str
    formats: Sequence[str]
    runtimes: Sequence[str]

    def has(self, cell: Cell) -> bool:
        """Whether a cell is of its columns; those of a format's variants are."""
        return base_of(cell.format) in self.formats and cell.runtime in self.runtimes


# A column that two groups have is run in the first one. Each group's formats are made once, whatever runs them.
GROUPS = (
    Group("torchscript", ("torchscript-trace", "torchscript-script"), ("torch", "libtorch-cpp")),
    Group("export", ("export",), ("torch",)),
    Group("onnx", _ONNX, _READERS),
    # The files are there by now: all of these only read them.
    Group("onnx-readers", _ONNX, ("tract", "opencv")),
    Group("onnx-javascript", _ONNX, ("ort-node", "ort-wasm", "ort-web", "ort-webgpu")),
    Group("openvino", ("openvino",), _READERS),
    Group("converted", ("mnn", "ncnn"), ("mnn", "ncnn")),
    Group("compilers", ("iree", "tvm"), ("iree", "tvm")),
    Group("old", ("onnx-opset9", "caffe2", "mxnet", "caffe"), ("ort", "caffe2", "mxnet", "caffe")),
    Group("onnx-decomposed", ("onnx-decomposed",), (*_READERS, "tract", "opencv")),
    Group(
        "quantised",
        ("onnx-fp16", "onnx-int8", "openvino-int8"),
        (*_READERS, "ort-node", "ort-wasm", "ort-web"),
    ),
    Group("executorch", ("executorch", "executorch-portable"), ("executorch",)),
    Group("others", ("tensorflow", "twin-keras", "twin-jax", "coreml"), ("tensorflow", "keras", "jax", "coreml")),
    Group("state-dict", ("state-dict",), ("cpp-frontend",)),
    Group(
        "other-torch",
        (
            *("torchscript-trace", "torchscript-script", "export"),
            *("torchscript-trace-2.11", "export-2.11", "torchscript-trace-2.15", "export-2.15"),
        ),
        ("torch", "libtorch-cpp", "torch-2.11", "torch-2.15"),
    ),
    Group("aoti", ("aoti",), ("torch", "libtorch-cpp")),
    Group("torch-compile", ("module", "export"), ("torch-compile", "torch-compile-fullgraph")),
    # Exports of minutes.
    Group("litert", ("litert", "litert-int8"), ("litert", "litert-web")),
    Group("stablehlo", ("stablehlo",), ("jax",)),
    # NumPy, node by node: half a minute a cell.
    Group(
        "onnx-reference", (*_ONNX, "onnx-decomposed", "onnx-fp16", "onnx-int8", "openvino-int8"), ("onnx-reference",)
    ),
    # It compiles each kernel for each size: minutes a cell.
    Group("tinygrad", (*_ONNX, "onnx-decomposed"), ("tinygrad",)),
)


def grouped(cells: Iterable[Cell], groups: Sequence[Group] = GROUPS) -> list[tuple[Group, list[Cell]]]:
    """Cells by group, each once, those without cells left out.

    A model check runs with the first cell of its case. What no group has (a format of another package, a new one) is a
    group of its own at the end: no cell gets lost.
    """
    found: dict[str, list[Cell]] = {group.name: [] for group in groups}
    named = {group.name: group for group in groups}
    checks: list[Cell] = []
    place: dict[tuple[str, str], str] = {}
    for cell in cells:
        if cell.is_check:
            checks.append(cell)
            continue
        name = next((group.name for group in groups if group.has(cell)), None)
        if name is None:
            name = f"{cell.format}-{cell.runtime}"
            named.setdefault(name, Group(name, (cell.format,), (cell.runtime,)))
        found.setdefault(name, []).append(cell)
    order = list(found)
    for name in order:
        for cell in found[name]:
            place.setdefault((cell.file, cell.case), name)
    for cell in checks:
        # A file that can't be collected has no other cells.
        found[place.get((cell.file, cell.case), order[0])].append(cell)
    return [(named[name], found[name]) for name in order if found[name]]
