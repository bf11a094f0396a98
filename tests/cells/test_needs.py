"""What cells wait for: harnesses, environments, a header; not what is there already, or what can not be had here."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform import environments
from pytest_modelconform.building import case_library, harness
from pytest_modelconform.cells import needs
from pytest_modelconform.cells.case_files import Declared
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.terms.cell import EAGER, Cell


def cell(format_name: str, runtime: str) -> Cell:
    return Cell("a.py", "a", format_name, runtime)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """All that is built in, on a machine where everything can be had."""
    monkeypatch.setattr(harness, "unavailable", lambda engine: None)
    monkeypatch.setattr(environments, "unavailable", lambda environment: None)
    found = Registry()
    register_built_in(found)
    return found


@pytest.mark.parametrize(
    ("format_name", "runtime", "framework", "names"),
    [
        ("onnx", "ort", "torch", set()),
        ("onnx", "ort-cpp", "torch", {"the ort harness"}),
        ("state-dict", "cpp-frontend", "torch", {"the frontend harness", needs.Header.name}),
        ("export-2.11", "torch-2.11", "torch", {"the environment torch-2.11"}),
        ("onnx", "ort", "keras", {"the environment tensorflow-cases"}),
        (EAGER, EAGER, "keras", {"the environment tensorflow-cases"}),
        (EAGER, EAGER, "torch", set()),
    ],
)
def test_what_a_cell_waits_for(
    format_name: str, runtime: str, framework: str, names: set[str], registry: Registry, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(harness, "is_built", lambda engine, cache: False)
    monkeypatch.setattr(case_library, "has_header", lambda cache: False)
    found = needs.lacking(registry, tmp_path, [(cell(format_name, runtime), Declared("net", framework=framework))])
    assert {need.name for need in found.needs} == names
    assert found.by_cell == ({cell(format_name, runtime).id: names} if names else {})


def test_each_is_made_once_and_the_slowest_first(registry: Registry, tmp_path: Path) -> None:
    cells = [cell("onnx", "openvino-cpp"), cell("onnx-legacy", "openvino-cpp"), cell("export", "libtorch-cpp")]
    found = needs.lacking(registry, tmp_path, [(one, Declared("net")) for one in cells])
    assert [need.name for need in found.needs] == ["the libtorch harness", "the openvino harness"]


def test_nobody_waits_for_what_is_there_or_cannot_be_had(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [(cell("onnx", "ort-cpp"), Declared("net"))]
    monkeypatch.setattr(harness, "is_built", lambda engine, cache: True)
    assert needs.lacking(registry, tmp_path, cells) == needs.Lacking([], {})
    monkeypatch.setattr(harness, "is_built", lambda engine, cache: False)
    monkeypatch.setattr(harness, "unavailable", lambda engine: "there is no compiler")
    assert needs.lacking(registry, tmp_path, cells) == needs.Lacking([], {})
