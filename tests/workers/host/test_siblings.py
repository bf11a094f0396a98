"""What stands beside a case file is found by its plain name, and each case finds its own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelconform.workers.host import siblings
from tests.support import runs

NAMES = ("sibling_net", "sibling_parts", "sibling_parts.blocks", "sibling_alone")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    path, aside = list(sys.path), dict(siblings._aside)
    siblings._aside.clear()
    yield
    sys.path[:] = path
    siblings._aside.clear()
    siblings._aside.update(aside)
    for name in NAMES:
        sys.modules.pop(name, None)


def folder(path: Path, value: str) -> str:
    """A folder with a module and a package, and the file of a case in it."""
    (path / "sibling_parts").mkdir(parents=True)
    (path / "sibling_parts" / "__init__.py").touch()
    (path / "sibling_parts" / "blocks.py").write_text(f"VALUE = {value!r}\n")
    (path / "sibling_net.py").write_text(f"VALUE = {value!r}\n")
    return str(path / "case.py")


def found() -> tuple[str, str]:
    importlib.invalidate_caches()
    return importlib.import_module("sibling_net").VALUE, importlib.import_module("sibling_parts.blocks").VALUE


def test_each_case_finds_what_is_beside_it(tmp_path: Path) -> None:
    a, b = folder(tmp_path / "a", "a"), folder(tmp_path / "b", "b")
    siblings.enter(a)
    assert found() == ("a", "a")
    first = sys.modules["sibling_net"]
    siblings.enter(b)
    assert found() == ("b", "b")
    # A module is executed once, and what was pickled or compared by its classes still is.
    siblings.enter(a)
    assert found() == ("a", "a")
    assert sys.modules["sibling_net"] is first


def test_what_only_one_folder_has_stays_loaded_and_is_found_from_there_alone(tmp_path: Path) -> None:
    a, b = folder(tmp_path / "a", "a"), folder(tmp_path / "b", "b")
    (tmp_path / "a" / "sibling_alone.py").touch()
    siblings.enter(b)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("sibling_alone")
    siblings.enter(a)
    importlib.invalidate_caches()
    importlib.import_module("sibling_alone")
    siblings.enter(b)
    assert "sibling_alone" in sys.modules


def test_what_was_on_the_path_comes_first(tmp_path: Path) -> None:
    root, a = folder(tmp_path, "root"), folder(tmp_path / "a", "a")
    sys.path.append(str(tmp_path))
    siblings.enter(a)
    assert found() == ("root", "root")
    assert sys.path[-2:] == [str(tmp_path), str(tmp_path / "a")]
    siblings.enter(root)
    assert sys.path[-1] == str(tmp_path)


def test_a_root_folder_does_not_find_another_ones(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", "a")
    siblings.enter(a)
    assert found() == ("a", "a")
    root = folder(tmp_path, "root")
    sys.path.insert(0, str(tmp_path))
    siblings.enter(root)
    assert found() == ("root", "root")


CASE = """\
import torch
from net import Net
from pytest_modelconform import Case

case = Case(model=Net, inputs={"two": lambda: (torch.rand(2, 3),), "three": lambda: (torch.rand(3, 3),)})
"""
NET = "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        return {}\n"


def test_cases_with_a_module_each_of_one_name(tmp_path: Path) -> None:
    files = {f"{name}/case_{name}.py": CASE for name in ("one", "two")}
    files |= {"one/net.py": NET.format("x * 3"), "two/net.py": NET.format("(x + 1, x)")}
    result = runs.run(runs.write(tmp_path, files), ".", runtimes="torch")
    assert result.status == 0, result.stdout
    outputs = [
        len(result.cells[f"case_{name}[torchscript_trace-torch-cpu]"]["inputs"]["two"]["outputs"])
        for name in ("one", "two")
    ]
    assert outputs == [1, 2]
