"""The project that `benchmarks/scale.py` measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import scale, scaling
from pytest_modelconform.cells.case_files import static_cases
from pytest_modelconform.cells.registry import Registry, register_built_in


@pytest.mark.parametrize("cells", [100, 1000])
def test_it_has_as_many_cells_as_it_says(tmp_path: Path, cells: int) -> None:
    scale.write(tmp_path, cells)
    registry = Registry()
    register_built_in(registry)
    scaling.pytest_modelconform_register(registry)
    found = [
        cell
        for file in tmp_path.rglob("*.py")
        for case in static_cases(file)
        for cell in registry.cells(file.name, case.name, scaling.FORMATS, scaling.RUNTIMES, ["cpu"])
    ]
    checks = {(cell.file, cell.case) for cell in found}
    assert len(found) + len(checks) == len(set(found)) + len(checks) == cells
