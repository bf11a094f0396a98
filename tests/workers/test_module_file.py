"""Where a module is from, whatever it is."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from pytest_modelconform.workers import module_file
from pytest_modelconform.workers.host import files, siblings
from pytest_modelconform.workers.host.cases import import_file


class Lazy(ModuleType):
    def __getattr__(self, name: str) -> object:
        raise ImportError("it needs k2")


class Slotted:
    __slots__ = ("__file__",)
    __file__: str


def test_the_file_of_a_module() -> None:
    assert module_file.file_of(module_file) == module_file.__file__
    assert module_file.file_of(Lazy("lazy")) is None
    assert module_file.file_of(sys) is None
    slotted = Slotted()
    assert module_file.file_of(slotted) is None
    slotted.__file__ = "/a.py"
    assert module_file.file_of(slotted) == "/a.py"


def test_a_module_that_imports_when_it_is_asked_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "beside", Lazy("beside"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("beside.py", "case.py"):
        (tmp_path / name).write_text("")
    try:
        assert import_file(str(tmp_path / "case.py"), "lazy/case.py").__file__ == str(tmp_path / "case.py")
    finally:
        siblings.enter(__file__)
    assert str(tmp_path / "beside.py") not in files.local_modules("modelconform_cases")
