"""Command-line options and ini keys, and the frozen `Settings` that they come to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest
from ..cells.settings import Settings

# (name, default, help). A name is `--modelconform-<name>` on the command line and `modelconform_<name>` in an ini file.
_OPTIONS = [
    ("formats", "", "formats to export to, separated by commas, or 'all' (default: the main ones)"),
    ("runtimes", "", "runtimes to execute in, separated by commas, or 'all' (default: the main ones)"),
    ("devices", "", "devices to run on, separated by commas (default: cpu)"),
    ("precisions", "", "how runtimes compute, separated by commas: full, fast (default: full)"),
    (
        "require",
        "",
        "runtimes and formats, separated by commas, that have to be available: unavailable is then a failure",
    ),
    (
        "threads",
        "1,2,8",
        "numbers of threads, separated by commas, from which C++ runtimes run an artifact at once; 0: none "
        "(default: 1,2,8, as far as that takes about a second a cell; as an option: however long it takes)",
    ),
    (
        "shard",
        "",
        "I/N: run the I-th of N parts of the cells, each on a machine of its own; modelconform merge joins the logs",
    ),
    ("json", "", "write the results to this file as JSON"),
    ("html", "", "write the results to this file as a page that holds everything it needs"),
    ("log", "", "write the run's log to this file, rather than to a folder that keeps the last ones"),
    ("timeout", "300", "limit for one cell in seconds: its own work, not waiting for locks or builds (default: 300)"),
    (
        "cache",
        "",
        "folder for artifacts, references and harnesses (default: $MODELCONFORM_CACHE, or in the user's cache)",
    ),
]

# Threads that --modelconform-threads may ask for: a slip shouldn't take the machine.
MOST_THREADS = 64


def add_options(parser: pytest.Parser) -> None:
    """Declare the options. Called in every pytest run where the plugin is installed: has to stay cheap."""
    group = parser.getgroup("modelconform", "exports of PyTorch models, checked in every runtime")
    group.addoption(
        "--modelconform", action="store_true", help="collect case files and test every case x format x runtime"
    )
    parser.addini("modelconform", "as --modelconform", type="bool", default=False)
    for name, default, text in _OPTIONS:
        group.addoption(f"--modelconform-{name}", default=None, metavar=name.upper(), help=text)
        parser.addini(f"modelconform_{name}", f"as --modelconform-{name}: {text}", default=default)
    group.addoption(
        "--modelconform-inline",
        action="store_true",
        help="no worker processes, for --pdb: a crash then ends the run; Python runtimes only, not with -n",
    )
    parser.addini("modelconform_inline", "as --modelconform-inline", type="bool", default=False)
    group.addoption(
        "--modelconform-strict",
        action="store_true",
        help="what is imprecise (beyond faithful arithmetic, but close on the output's own scale) fails",
    )
    parser.addini("modelconform_strict", "as --modelconform-strict", type="bool", default=False)
    # No ini key: a run that rewrites what it is judged by has to be asked for each time.
    group.addoption(
        "--modelconform-update-expected",
        action="store_true",
        help="rewrite expected.toml at the end so that it agrees with what was seen; new reasons are to be filled in",
    )


def enabled(config: pytest.Config) -> bool:
    """Whether this run is ours."""
    return bool(config.getoption("--modelconform") or config.getini("modelconform"))


def _counts(words: Sequence[str], given: str) -> Sequence[int]:
    """Numbers of threads. Raises pytest.UsageError."""
    import pytest

    if any(not (word.isascii() and word.isdecimal()) or int(word) > MOST_THREADS for word in words):
        raise pytest.UsageError(
            f"--modelconform-threads: {given!r} is no list of numbers from 1 to {MOST_THREADS}, such as 1,2,8, or 0"
        )
    return tuple(sorted({int(word) for word in words} - {0}))


def _shard(given: str) -> tuple[int, int] | None:
    """Index and count. Raises pytest.UsageError."""
    import pytest

    if not given:
        return None
    match = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", given)
    index, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= index <= count:
        raise pytest.UsageError(f"--modelconform-shard: {given!r} is no part such as 1/3, from 1/3 to 3/3")
    return index, count


def settings(config: pytest.Config) -> Settings:
    """The settings of a run. Raises pytest.UsageError for a value that is none."""
    import pytest

    from ..cache.store import default_folder

    def value(name: str) -> str:
        given = config.getoption(f"--modelconform-{name}")
        return str(config.getini(f"modelconform_{name}") if given is None else given)

    def names(name: str) -> Sequence[str]:
        return tuple(part.strip() for part in value(name).split(",") if part.strip())

    try:
        timeout = float(value("timeout"))
        if not 0 < timeout < float("inf"):
            raise ValueError
    except ValueError:
        raise pytest.UsageError(
            f"--modelconform-timeout: {value('timeout')!r} is no positive number of seconds"
        ) from None
    inline = bool(config.getoption("--modelconform-inline") or config.getini("modelconform_inline"))
    if inline and (config.getoption("numprocesses", None) or hasattr(config, "workerinput")):
        raise pytest.UsageError("--modelconform-inline has one process only: leave out -n (say -n 0)")
    update_expected = bool(config.getoption("--modelconform-update-expected"))
    shard = _shard(value("shard").strip())
    if update_expected and shard:
        raise pytest.UsageError(
            "--modelconform-update-expected needs what all cells came to: leave out --modelconform-shard"
        )
    json, html, log = value("json"), value("html"), value("log")
    start = config.invocation_params.dir
    return Settings(
        formats=names("formats"),
        runtimes=names("runtimes"),
        devices=names("devices"),
        precisions=names("precisions"),
        require=names("require"),
        threads=_counts(names("threads"), value("threads")),
        threads_asked=config.getoption("--modelconform-threads") is not None,
        shard=shard,
        json=start / json if json else None,
        html=start / html if html else None,
        log=start / log if log else None,
        timeout=timeout,
        cache=(start / value("cache")).resolve() if value("cache") else default_folder(),
        inline=inline,
        strict=bool(config.getoption("--modelconform-strict") or config.getini("modelconform_strict")),
        update_expected=update_expected,
    )
