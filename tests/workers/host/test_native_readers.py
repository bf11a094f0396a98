"""What C++ and Rust open counts among the files that a case was made from."""

from __future__ import annotations

import importlib
import importlib.util
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from pytest_modelconform.workers.host import build, files, native_readers

READER = """\
class Handle:
    def __init__(self, mode, name=""):
        self.name = name

    def load(self, name):
        return name


def read(name):
    return name
"""
CASE = """\
import torch
from safetensors.torch import load_file

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.load_state_dict(load_file(__file__.replace("net.py", "weights.safetensors")), strict=False)

    def forward(self, x):
        return x + 1.0


net = Case(model=lambda: Net(), inputs={"one": lambda: (torch.ones(2, 2),)})
"""


@pytest.fixture
def readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [one for one in sys.meta_path if type(one).__name__ != "_Finder"])
    (tmp_path / "my_native_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {"my_native_reader": ("read", "Handle", "Handle.load", "gone", "Gone.load"), "my_absent_reader": ("read",)}
    monkeypatch.setattr(native_readers, "READERS", found)
    monkeypatch.delitem(sys.modules, "my_native_reader", raising=False)


def opened(path: Path, read: Callable[[str], object]) -> bool:
    path.write_text("x")
    with files.recorded() as found:
        read(str(path))
    return str(path) in found


@pytest.mark.parametrize("before", [False, True], ids=["imported later", "imported before"])
@pytest.mark.usefixtures("readers")
def test_readers_are_watched_whenever_they_are_imported(tmp_path: Path, before: bool) -> None:
    if before:
        importlib.import_module("my_native_reader")
    for _ in range(2):
        native_readers.install()
    assert [type(one).__name__ for one in sys.meta_path].count("_Finder") == 1
    assert ("my_native_reader" in sys.modules) == before
    assert importlib.util.find_spec("my_absent_reader") is None
    module: ModuleType = importlib.import_module("my_native_reader")
    assert opened(tmp_path / "one", module.read)
    assert opened(tmp_path / "two", lambda name: module.read(name=name))
    assert opened(tmp_path / "three", lambda name: module.Handle("r", name))
    handle = module.Handle("r")
    assert isinstance(handle, module.Handle)
    assert handle.name == ""
    assert not isinstance(1, module.Handle)


@pytest.mark.usefixtures("readers")
def test_a_folder_stands_for_what_is_in_it(tmp_path: Path) -> None:
    native_readers.install()
    module = importlib.import_module("my_native_reader")
    weights = tmp_path / "saved_model" / "variables" / "data"
    weights.parent.mkdir(parents=True)
    assert opened(weights, lambda name: module.read(tmp_path / "saved_model"))


@pytest.mark.usefixtures("readers")
def test_methods_are_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_readers, "READERS", {"my_native_reader": ("Handle.load",)})
    native_readers.install()
    module = importlib.import_module("my_native_reader")
    handle = module.Handle("r")
    assert opened(tmp_path / "one", handle.load)
    assert handle.load("net.pt") == "net.pt"


def test_databases_and_libraries_are_opened_by_c(tmp_path: Path) -> None:
    assert opened(tmp_path / "data.db", lambda name: sqlite3.connect(name).close())

    def load(name: str) -> None:
        import torch

        with pytest.raises(OSError, match="Could not load"):
            torch.ops.load_library(name)

    assert opened(tmp_path / "library.so", load)


def test_nothing_is_said_when_a_process_ends() -> None:
    # What is closed last raises events when the names of our module are gone.
    code = (
        "import os\n"
        "from pytest_modelconform.workers.host import files\n"
        "class Last:\n"
        "    def __del__(self, listed=os.listdir): listed('.')\n"
        "files.__dict__['__last'] = Last()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["cv2", "h5py", "torchvision.io.image"])
def test_real_readers_are_where_we_say(name: str) -> None:
    module = pytest.importorskip(name)
    for reader in native_readers.READERS[name]:
        found: Any = module
        for part in reader.split("."):
            found = getattr(found, part)
        assert found.__code__.co_filename == files.__file__, reader


def test_weights_in_safetensors_and_programs_are_files_of_a_case(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    (tmp_path / "net.py").write_text(CASE)
    weights = tmp_path / "weights.safetensors"
    save_file({"weight": np.zeros(2, np.float32)}, weights)
    assert str(weights) in build.build(str(tmp_path / "net.py"), "test_native_readers_net.py", "net").files

    import torch

    program = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), program)
    with files.recorded() as found:
        torch.export.load(f=program)
    assert str(program) in found


class Mocks(MetaPathFinder, Loader):
    """One loader for all modules that it finds, each of them a mock, as where a package is only stood in for."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in ("my_mock", "my_other_mock") else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return MagicMock(name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


@pytest.mark.usefixtures("readers")
def test_what_stands_in_for_a_reader_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_readers, "READERS", {"my_mock": ("File.__init__",)})
    native_readers.install()
    sys.meta_path.append(Mocks())
    try:
        for name in ("my_mock", "my_other_mock"):
            assert isinstance(importlib.import_module(name), MagicMock)
    finally:
        sys.meta_path.pop()
        for name in ("my_mock", "my_other_mock"):
            sys.modules.pop(name, None)
