"""Which columns a case has, and what is wrong with what it says of them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_modelconform.cells import variants
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.terms.cell import Cell


@pytest.fixture(scope="module")
def registry() -> Registry:
    built_in = Registry()
    register_built_in(built_in)
    return built_in


@pytest.mark.parametrize(
    ("asked", "case", "given", "found"),
    [
        ("onnx aoti", "onnx@b aoti@a onnx@a", "", "onnx onnx@b onnx@a aoti aoti@a"),
        # What is said of the plain column is no further one; and a format that isn't asked for brings none.
        ("onnx", "onnx aoti@a onnx@a", "", "onnx onnx@a"),
        ("onnx@a", "onnx@a onnx@b", "", "onnx@a"),
        ("onnx onnx@a", "onnx@a", "", "onnx onnx@a"),
        ("onnx@c", "onnx@a", "", ""),
        ("onnx", "onnx@a", "onnx@b onnx@a", "onnx onnx@a onnx@b"),
        ("onnx-legacy", "onnx@a", "", "onnx-legacy"),
    ],
)
def test_columns(asked: str, case: str, given: str, found: str) -> None:
    assert variants.columns(asked.split(), case.split(), given.split()) == found.split()


@pytest.mark.parametrize(
    ("exports", "given", "framework", "why"),
    [
        ({"onnx@a": "options", "onnx": "file", "aoti@b": "make"}, "onnx@c", "torch", ""),
        ({"onxx@a": "options"}, "", "torch", "unknown format 'onxx'. Did you mean 'onnx'?"),
        (
            {"iree@a": "options"},
            "",
            "torch",
            "'iree@a': the format iree has no options: a converter makes it from onnx",
        ),
        ({"iree@a": "make"}, "", "torch", "'iree@a': a file of your own (make=) can't be read as iree"),
        ({"state-dict": "file"}, "", "torch", "can't be read as state-dict"),
        ({"onnx@a": "make"}, "onnx@a", "torch", "it is made by make=, so that options of --modelconform-export can't"),
        ({"onnx@a": "options"}, "onnx@a", "torch", ""),
        ({"onnx@a": "options"}, "", "keras", "options= is for models in PyTorch, and this one is in keras: give"),
        ({"coreml@a": "make"}, "", "onnx", "'coreml@a': make= is for models in PyTorch"),
        ({"onnx@a": "file", "tensorflow@b": "file", "coreml@c": "file"}, "", "onnx", ""),
    ],
)
def test_faults(exports: Mapping[str, str], given: str, framework: str, why: str, registry: Registry) -> None:
    found = variants.fault("net", framework, exports, given.split(), registry)
    assert bool(found) == bool(why)
    assert why in found
    assert not found or found.startswith("case 'net', field 'exports'")


def test_cells_of_a_variant_are_those_of_its_format(registry: Registry) -> None:
    asked = (("ort", "openvino", "torch", "libtorch-cpp"), ("cpu",))
    has = ("train",)

    def cells(name: str) -> set[tuple[str, str]]:
        found = registry.cells("a.py", "a", (name,), *asked, has=has)
        assert {cell.format for cell in found} == {name}
        return {(cell.runtime, cell.task) for cell in found}

    assert cells("onnx@a") == cells("onnx") != set()
    # A training is exported by the plugin: only the plain column has those cells.
    plain, variant = cells("torchscript-trace"), cells("torchscript-trace@a")
    assert variant == {pair for pair in plain if pair[1] == "inference"} != plain
    assert Cell("a.py", "a", "onnx-legacy@opset18", "ort-cpp").name == "a[onnx_legacy@opset18-ort_cpp-cpu]"
