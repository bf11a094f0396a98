"""What tests share: folders that one of them fills for all, and what takes minutes to compile or to install."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from filelock import FileLock

from pytest_modelconform import environments
from pytest_modelconform.cache.store import default_folder
from pytest_modelconform.environments import Environment, EnvironmentFault

# The cache of whoever runs the tests, read before conftest.py gives each test another. What is taken from it is named
# after all that decides what is in it, so that it makes no difference to a test whether it was there.
CACHE = default_folder()
# That is these folders, whose locks lie in them; artifacts and what is known of cases are each session's own.
LINKED = ("harness", "library", "environments")
# Names, separated by commas, of environments that have to be there: a test that lacks one fails, and isn't skipped.
REQUIRED = "MODELCONFORM_REQUIRE_ENVIRONMENTS"
# Of what an installer said, its end says why.
LINES_SHOWN = 10

_session: list[Path] = []
_marks: set[str] = set()


def begin(folder: Path) -> None:
    """Name the folder that all xdist workers of this session share."""
    _session[:] = [folder]


def begin_test(marks: set[str]) -> None:
    """Name the marks of the test that begins."""
    _marks.clear()
    _marks.update(marks)


def made(folder: Path, name: str, make: Callable[[Path], None]) -> Path:
    """The folder of a name below `folder`, filled by whichever test, in whichever xdist worker, asks first.

    It is filled where it stays, since paths are part of the cache's keys; how that ended stands beside it, so that one
    that was left half-made is made anew. What failed, or was skipped, fails or is skipped at once, with the same words,
    for all others that ask: it would again, minutes later.
    """
    target, end = folder / name, folder / f"{name}.end"
    with FileLock(folder / f"{name}.lock"):
        if not end.exists():
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            try:
                make(target)
            except pytest.skip.Exception as skipped:
                _write(end, skipped=str(skipped))
                raise
            except (Exception, pytest.fail.Exception):
                _write(end, failed=traceback.format_exc())
                raise
            _write(end)
    said = json.loads(end.read_text())
    if "skipped" in said:
        pytest.skip(said["skipped"])
    if "failed" in said:
        pytest.fail(f"{name} could not be made, by the test that asked first:\n{said['failed']}", pytrace=False)
    return target


def _write(end: Path, **said: str) -> None:
    partial = end.with_suffix(".partial")
    partial.write_text(json.dumps(said))
    partial.rename(end)


def cache_in(folder: Path) -> Path:
    """A cache of one's own below a folder, in which nothing has to be compiled or installed that is in CACHE."""
    cache = folder / "cache"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in LINKED:
        (CACHE / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        # Another process may be first.
        with contextlib.suppress(FileExistsError):
            (cache / name).symlink_to(CACHE / name, target_is_directory=True)
    return cache


def installed(environment: Environment) -> Path:
    """The folder of an environment in CACHE, installed by whichever test of this session asks first.

    Where it can't be had, the test is skipped with what the installer said, or fails where REQUIRED names it.
    """

    assert "installs" in _marks, f"this test installs {environment.name}: mark it with pytest.mark.installs"

    def install(folder: Path) -> None:
        if reason := environments.unavailable(environment):
            _lacks(environment, f"the environment {environment.name} {reason}")
        try:
            path = environments.install(environment, CACHE, print)
        except EnvironmentFault as fault:
            head, *lines = [line for line in str(fault).splitlines() if line.strip()]
            said = [line.strip() for line in lines if not line.startswith("full log: ")]
            _lacks(environment, "\n".join([head, *said[-LINES_SHOWN:]]))
        (folder / "path").write_text(str(path))

    [session] = _session
    return Path((made(session, f"environment-{environment.name}", install) / "path").read_text())


def _lacks(environment: Environment, reason: str) -> NoReturn:
    if environment.name in os.environ.get(REQUIRED, "").split(","):
        pytest.fail(f"{reason}\n${REQUIRED} names it", pytrace=False)
    pytest.skip(reason)
