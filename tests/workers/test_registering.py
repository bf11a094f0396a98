"""What registers operators is loaded once a process, under whatever name it was imported before."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

from pytest_modelconform.workers import registering
from pytest_modelconform.workers.loop import WorkerError

OPERATOR = """\
import torch


@torch.library.custom_op("{namespace}::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return 2 * x
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def test_a_file_registers_once_whoever_imports_it(folder: Path) -> None:
    file = folder / "modelconform_once.py"
    file.write_text(OPERATOR.format(namespace="modelconform_once"))
    registering.register([str(file)])
    registering.register([str(file)])  # a second time would be an error of PyTorch's
    assert sys.modules["modelconform_once"].__file__ == str(file)
    assert hasattr(torch.ops.modelconform_once, "twice")
    # Of a namespace that is registered no package is looked for.
    registering.packages(["modelconform_once"])


def test_one_that_was_imported_before_is_left_alone(folder: Path) -> None:
    file = folder / "modelconform_before.py"
    file.write_text(OPERATOR.format(namespace="modelconform_before"))
    sys.path.append(str(folder))
    importlib.import_module("modelconform_before")
    registering.register([str(file)])


def test_modules_are_found_in_the_folders_that_are_given(folder: Path) -> None:
    (folder / "modelconform_ops").mkdir()
    (folder / "modelconform_ops" / "__init__.py").write_text(OPERATOR.format(namespace="modelconform_ops"))
    registering.register(["modelconform_ops"], [str(folder)])
    assert hasattr(torch.ops.modelconform_ops, "twice")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.py", "1 / 0", r"field 'operators': a\.py can't be loaded: ZeroDivisionError"),
        ("a.so", "no library", r"field 'operators': a\.so can't be loaded: OSError"),
        ("modelconform_nowhere", "", r"modelconform_nowhere can't be loaded: ModuleNotFoundError"),
    ],
)
def test_what_can_not_be_loaded_is_named(name: str, text: str, said: str, folder: Path) -> None:
    (folder / name).write_text(text)
    with pytest.raises(WorkerError, match=said):
        registering.register([str(folder / name) if "." in name else name])


def test_a_namespace_that_nothing_registers_is_named() -> None:
    with pytest.raises(WorkerError, match=r"calls operators of 'modelconform_none' \(as in modelconform_none::…\)"):
        registering.packages(["modelconform_none"])


def test_a_file_of_a_case_is_no_package_though_it_has_the_namespaces_name(folder: Path) -> None:
    (folder / "modelconform_case.py").write_text("raise SystemExit('a case file was imported')\n")
    (folder / "modelconform_named.py").write_text("")
    registering.register(["modelconform_named"], [str(folder)])
    with pytest.raises(WorkerError, match="calls operators of 'modelconform_case'"):
        registering.packages(["modelconform_case"])


def test_a_function_that_registers_classes_is_called(folder: Path) -> None:
    (folder / "modelconform_cache.py").write_text("called = []\n\n\ndef register():\n    called.append(1)\n")
    registering.containers(["modelconform_cache:register"], [str(folder)])
    assert sys.modules["modelconform_cache"].called == [1]


def test_modules_of_classes_are_looked_for_beside_the_case_last(folder: Path) -> None:
    (folder / "modelconform_outputs.py").write_text("class Out: pass\n")
    (folder / "json.py").write_text("raise AssertionError\n")
    registering.containers(["modelconform_outputs", "json"], [str(folder)])
    assert sys.modules["modelconform_outputs"].__file__ == str(folder / "modelconform_outputs.py")
    message = "a class of modelconform_none.outputs, which can't be imported where it is loaded: ModuleNotFoundError: "
    with pytest.raises(WorkerError, match=message):
        registering.containers(["modelconform_none.outputs"])
