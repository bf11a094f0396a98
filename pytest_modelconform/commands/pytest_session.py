"""A session of pytest's, borrowed by a subcommand: what is registered there is what a test run has.

Root folder, ini files, conftest.py, other packages' formats and runtimes, case host and cache are then those of
`pytest --modelconform`. Nothing is collected and no test runs.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence

import pytest

from ..cells.registry import UnknownName
from ..plugin.run import Run, run_of
from ..terms.wording import Refused, fault_of_ours

# Options of the ini file are for runs of tests, and may ask for several processes; `all` so that nothing is left out.
_OPTIONS = (
    *("-o", "addopts=", "-o", "filterwarnings=", "-p", "no:anyio", "--disable-warnings"),
    # Its import, for statistics that it may show, takes as long as all of ours.
    *("-p", "no:hypothesispytest"),
    *("--assert=plain", "-qqq", "-s", "--no-header"),
    *("--modelconform", "--modelconform-formats=all", "--modelconform-runtimes=all"),
    # Nor is a report written that the ini file asks a run of tests for.
    *(word for name in ("json", "html", "log", "shard") for word in ("-o", f"modelconform_{name}=")),
)
_NO_CACHE = ("-p", "no:cacheprovider")


class _Borrower:
    def __init__(self, do: Callable[[Run], int]) -> None:
        self.do = do
        self.status: int | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> bool:
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.status = self.do(run_of(session.config))
        # Or pytest, and then we, say that there was nothing to collect.
        session.testscollected = 1
        return True


def session(command: str, do: Callable[[Run], int], arguments: Sequence[str] = (), *, caches: bool = False) -> int:
    """Call `do` within a session of the current folder; the exit status that it returns.

    Where it raises Refused, UnknownName or OSError, its message as one of `modelconform COMMAND`, and 2; where it
    raises what nobody foresaw, a line on that, and 3. What pytest itself prints goes to stderr; 4 and a message of
    pytest's where it refuses to start.

    Args:
        command: the subcommand's name.
        do: what is done in the place of collecting and running tests.
        arguments: further ones of pytest's.
        caches: whether `config.cache` is there, as the last runs' logs lie in it. pytest makes its folder then.

    """
    os.environ.pop("PYTEST_ADDOPTS", None)
    stdout = sys.stdout

    def answered(run: Run) -> int:
        with contextlib.redirect_stdout(stdout):
            try:
                return do(run)
            except (Refused, UnknownName) as refused:
                return refusal(command, refused)
            except OSError as error:
                return refusal(command, f"{error.filename or 'a file'}: {error.strerror or error}")
            except Exception as error:
                refusal(command, fault_of_ours(error))
                return int(pytest.ExitCode.INTERNAL_ERROR)

    borrower = _Borrower(answered)
    with contextlib.redirect_stdout(sys.stderr):
        status = pytest.main([*_OPTIONS, *(() if caches else _NO_CACHE), *arguments], plugins=[borrower])
    return int(status) or 1 if borrower.status is None else borrower.status


def refusal(command: str, why: object) -> int:
    """Say it; the exit status for it."""
    print(f"modelconform {command}: {why}", file=sys.stderr)
    return 2
