"""Which files a process of xdist imports first, before all collect the same."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelconform.plugin.divided import DividedPlugin, rotated
from tests.support import runs

CASE = runs.PLAIN


def test_each_process_begins_elsewhere_and_leaves_nothing_out() -> None:
    files = list("abcdef")
    orders = [rotated(files, process, 3) for process in range(3)]
    assert [order[0] for order in orders] == ["a", "c", "e"]
    assert all(sorted(order) == files for order in orders)
    assert rotated(files, 4, 3) == orders[1]
    assert rotated([], 1, 2) == []


def _declared(folder: Path, share: int, **given: Any) -> list[str]:
    """The names of the files that process 1 imports before it collects."""
    named: list[str] = []
    place = SimpleNamespace(process=1, share=share)
    machinery = SimpleNamespace(place=place, declare=lambda path: named.append(path.name))
    config = SimpleNamespace(
        args=[str(folder)],
        invocation_params=SimpleNamespace(dir=folder.parent),
        getini=lambda name: [],
        getoption=lambda name, default=None: given.get(name, default),
    )
    run: Any = SimpleNamespace(machinery=machinery)
    session: Any = SimpleNamespace(config=config)
    DividedPlugin(run).pytest_collection(session)
    return named


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return runs.write(tmp_path, {"a.py": CASE, "b.py": CASE, "sub/c.py": CASE, "sub/no_case.py": "import json"})


def test_case_files_are_imported_before_they_are_collected(folder: Path) -> None:
    assert _declared(folder, 2) == ["b.py", "c.py", "a.py"]
    assert _declared(folder, 1) == []


@pytest.mark.parametrize("name", ["x" * 5000 + ".py", "zero\0byte.py"])
def test_a_path_that_cannot_be_looked_at_is_left_to_pytest(folder: Path, name: str) -> None:
    assert _declared(folder / name, 2) == []


def test_where_something_is_ignored_pytest_decides(folder: Path) -> None:
    assert _declared(folder, 2, ignore=["a.py"]) == []
    assert _declared(folder, 2, ignore_glob=["a*"]) == []
    (folder / "sub" / "conftest.py").write_text('collect_ignore = ["c.py"]')
    assert _declared(folder, 2) == []
