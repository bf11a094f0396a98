"""A session of pytest's, borrowed by a subcommand: what is registered there is what a test run has.

Root folder, ini files, conftest.py and other packages' formats and runtimes are then those of `pytest --modelconform`.
Nothing is collected and no test runs.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

from . import collect

if TYPE_CHECKING:
    from .session import SessionPlugin

# Options of the ini file are for runs of tests, and may ask for several processes; `all` so that nothing is left out.
_OPTIONS = (
    *("-o", "addopts=", "-o", "filterwarnings=", "-p", "no:anyio", "-p", "no:cacheprovider"),
    *("--assert=plain", "-qqq", "-s", "--no-header"),
    *("--modelconform", "--modelconform-formats=all", "--modelconform-runtimes=all"),
)


class _Borrower:
    def __init__(self, do: Callable[[SessionPlugin], int]) -> None:
        self.do = do
        self.status: int | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> bool:
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.status = self.do(collect.session_of(session.config))
        return True


def session(do: Callable[[SessionPlugin], int], arguments: Sequence[str] = ()) -> int:
    """Call `do` within a session of the current folder; the exit status that it returns.

    What pytest itself prints goes to stderr; 4 and a message of pytest's where it refuses to start.
    """
    os.environ.pop("PYTEST_ADDOPTS", None)
    stdout = sys.stdout

    def answered(plugin: SessionPlugin) -> int:
        with contextlib.redirect_stdout(stdout):
            return do(plugin)

    borrower = _Borrower(answered)
    with contextlib.redirect_stdout(sys.stderr):
        status = pytest.main([*_OPTIONS, *arguments], plugins=[borrower])
    return int(status) or 1 if borrower.status is None else borrower.status
