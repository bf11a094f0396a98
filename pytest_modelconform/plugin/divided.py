"""Case files are imported before pytest collects them, so that the processes of a session divide the imports.

Each process of xdist collects all files, in the same order. Who comes second to a file waits for the import of the
first one, and then takes what it came to from the cache: without this, all would wait for each other at each file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from ..cells.case_files import is_case_file
from .named import python_files
from .run import Run

T = TypeVar("T")


class DividedPlugin:
    """Hooks for one of several processes; alone, collection is left to pytest."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Import this process's share of the files first, then those that others may have imported meanwhile."""
        place = self.run.machinery.place
        if place.share < 2:
            return
        try:
            files = list(_files(session.config))
        except (OSError, ValueError):
            return  # A path that can't be looked at is pytest's to refuse.
        for file in rotated(files, place.process, place.share):
            self.run.machinery.declare(file)


def rotated(files: Sequence[T], process: int, share: int) -> Sequence[T]:
    """The files in another order for each of `share` processes; `process` is which one, from 0."""
    begin = process % share * len(files) // share
    return [*files[begin:], *files[:begin]]


def _files(config: pytest.Config) -> Iterator[Path]:
    """The case files that the command line names; none if some of them may be ignored, which only pytest can tell."""
    if config.getoption("ignore", None) or config.getoption("ignore_glob", None):
        return
    found: list[Path] = []
    for argument in config.args:
        path = Path(os.path.normpath(config.invocation_params.dir / argument.partition("::")[0]))
        found += sorted(python_files(config, path)) if path.is_dir() else [path]
    if any(file.name == "conftest.py" and b"ignore" in file.read_bytes() for file in found):
        return
    yield from (file for file in dict.fromkeys(found) if file.is_file() and is_case_file(file))
