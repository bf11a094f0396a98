from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path

# Once and for all: `pytester` forgets modules that a run inside this process was the first to import.
import ml_dtypes  # noqa: F401
import numpy as np  # noqa: F401
import pytest

from pytest_modelconform.cache import fingerprint
from pytest_modelconform.plugin import blame_option
from tests.support import fakes, runs, shared

# A shell that starts us in the background has Ctrl-C ignored, and nohup the end of a terminal; so would all that we
# start: tests of it would hang.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


# Files that another name marks as a whole. In all others, `pytestmark` or a test's own decorator does.
COMPILES = ("test_harness", "test_cmake_package", "test_compare_cpp", "test_docs_cpp")
NO_COMPILER = Path(fakes.__file__).with_name("no_compiler.sh")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is marked by its file's name."""
    for item in items:
        if item.path.name.startswith(COMPILES):
            item.add_marker("compiles")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Hold tests to their marks, which make the fast loop: without them nothing is installed and nothing compiled."""
    marks = {mark.name for mark in item.iter_markers()}
    shared.begin_test(marks)
    if "compiles" in marks:
        _forget_no_compiler()
        return (yield)
    before = os.environ.get("CXX")
    os.environ["CXX"] = str(NO_COMPILER)
    try:
        return (yield)
    finally:
        if before is None:
            del os.environ["CXX"]
        else:
            os.environ["CXX"] = before


def _forget_no_compiler() -> None:
    """Inductor reads the compiler's name when it is imported, which may be in a test that is held to none."""
    config = sys.modules.get("torch._inductor.config")
    if config is not None and config.cpp.cxx == (None, str(NO_COMPILER)):
        config.cpp.cxx = (None, os.environ.get("CXX", "g++"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Neighbours share set-ups: see there."""
    from tests.scheduling import scheduler

    return scheduler(config, log)


@pytest.fixture(scope="session", autouse=True)
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all xdist workers of this session share."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = folder / "shared"
    folder.mkdir(exist_ok=True)
    shared.begin(folder)
    return folder


@pytest.fixture(autouse=True)
def cache(session_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of this session's runs: not the user's, and shared, so that the smoke model is exported once."""
    folder = shared.cache_in(session_folder)
    monkeypatch.setenv("MODELCONFORM_CACHE", str(folder))
    # What pytest says of the run that we are in is none of the business of those that we start.
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "FAKE"))]:
        monkeypatch.delenv(name)
    # Nor is anything looked for that a test doesn't ask for: in runs of its own, and in those that `pytester` starts.
    monkeypatch.setattr(blame_option, "UNASKED", 0.0)
    monkeypatch.setenv("PYTEST_ADDOPTS", runs.ADDOPTS)
    fingerprint.fingerprint.cache_clear()
    return folder


@pytest.fixture
def project(session_folder: Path, cache: Path) -> Path:
    """Two small cases in the cache, so that a run takes no case host: `plain.py` and `second.py`. Not to be changed."""

    def make(folder: Path) -> runs.Run:
        second = runs.PLAIN.replace("5.0", "6.0").replace("inputs=inputs", "inputs=inputs, tags=('small',)")
        runs.write(folder, {"plain.py": runs.PLAIN, "second.py": second})
        made = runs.run(folder)
        assert made.status == 0, made.stdout
        return made

    runs.once(session_folder, "project", make)
    return session_folder / "project"
