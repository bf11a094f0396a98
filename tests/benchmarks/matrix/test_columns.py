"""The groups of columns that the whole matrix is run in."""

from __future__ import annotations

from benchmarks.matrix.columns import GROUPS, Group, grouped
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.terms.cell import Cell


def test_every_format_in_every_runtime_is_in_a_group() -> None:
    registry = Registry()
    register_built_in(registry)
    runtimes = [name for name in registry.runtimes if not name.endswith("-cudagraphs")]
    cells = [
        cell
        for framework in ("torch", "onnx", "jax", "keras", "tensorflow")
        for cell in registry.cells(
            "a.py", "a", registry.formats, runtimes, ["cpu"], has=["cpp", "twin-keras", "twin-jax"], framework=framework
        )
    ]
    assert {group.name for group, _ in grouped(cells)} == {group.name for group in GROUPS}
    for name in {name for group in GROUPS for name in group.formats}:
        assert name in registry.formats
    for name in {name for group in GROUPS for name in group.runtimes}:
        assert name in registry.runtimes


def test_a_cell_runs_once_in_the_first_group_that_has_it() -> None:
    cells = [Cell("a.py", "a", "export", runtime) for runtime in ("torch", "torch-2.15", "torch-compile")]
    assert [(group.name, len(of)) for group, of in grouped(cells)] == [
        ("export", 1),
        ("other-torch", 1),
        ("torch-compile", 1),
    ]


def test_a_variant_runs_with_its_format() -> None:
    cells = [Cell("a.py", "a", name, "tract") for name in ("onnx", "onnx@opset18")]
    assert [(group.name, of) for group, of in grouped(cells)] == [("onnx-readers", cells)]


def test_no_cell_is_lost() -> None:
    new = Cell("a.py", "a", "new", "ort")
    check = Cell("a.py", "a", "eager", "eager")
    file = Cell("b.py", "b", "collect", "collect")
    cells = [check, new, file]
    assert [(group, of) for group, of in grouped(cells)] == [
        (GROUPS[0], [file]),
        (Group("new-ort", ("new",), ("ort",)), [new, check]),
    ]
