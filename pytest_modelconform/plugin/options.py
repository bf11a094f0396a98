"""Command-line options and ini keys, and the frozen `Settings` that they come to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest
from ..cells.settings import Settings
from . import blame_option, export_options

# (name, default, help). A name is `--modelconform-<name>` on the command line and `modelconform_<name>` in an ini file.
_OPTIONS = [
    (
        "formats",
        "",
        "formats to export to, separated by commas, or 'all' (default: the main ones, or those that the named runtimes "
        "load)",
    ),
    (
        "runtimes",
        "",
        "runtimes to run in, separated by commas, or 'all' (default: the main ones, or those that load the named "
        "formats)",
    ),
    ("devices", "", "devices to run on, separated by commas (default: cpu)"),
    ("precisions", "", "how runtimes compute, separated by commas: full, fast (default: full)"),
    (
        "require",
        "",
        "runtimes and formats, separated by commas, that must be available: the run fails where one is unavailable, or "
        "has no cell",
    ),
    (
        "threads",
        "1,2,8",
        "numbers of threads, separated by commas, from which C++ runtimes run an artifact at the same time; 0: none "
        "(default: 1,2,8, limited to about a quarter of a second a cell; numbers that you give are not limited)",
    ),
    (
        "shard",
        "",
        "I/N: run part I of N, each on its own machine; modelconform merge joins the logs",
    ),
    (
        "durations",
        "",
        "what cells took, as modelconform report LOG --format durations writes it: shards are split by this file, and "
        "cells that this machine never ran are ordered by it",
    ),
    (
        "resume",
        "",
        "the log of a run that was ended early: cells that had run stand as they are there, the others run. With the "
        "file that --modelconform-log names, which need not be there yet, one command begins a run and goes on with it",
    ),
    (
        "memory",
        "",
        "memory that all processes of the run may take together, such as 12GB, or 'off': cells are tried whatever they "
        "are estimated to take (default: what the machine or the container has)",
    ),
    ("json", "", "write the results to this file as JSON"),
    ("html", "", "write the results to this file as one self-contained HTML page"),
    ("log", "", "write the log of the run to this file (default: a folder that keeps the last runs)"),
    ("timeout", "300", "time limit of one cell in seconds, without builds and waiting for locks (default: 300)"),
    (
        "cache",
        "",
        "folder for artifacts, references and harnesses (default: $MODELCONFORM_CACHE, else the user's cache folder)",
    ),
]

# What the fixture `modelconform` heeds as well, which needs no --modelconform.
_OF_THE_FIXTURE = ("require", "threads", "timeout", "cache", "strict", "inline")
SWITCH_ON = "Add --modelconform to the command line, or `modelconform = true` to the ini file."
_PREFIX = "--modelconform-"
# What an xdist worker is told of the command line by: it has none of its own.
TYPED = "modelconform_typed"

_UNITS = {"MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
# Threads that --modelconform-threads may ask for: a slip shouldn't take the machine.
MOST_THREADS = 64


def add_options(parser: pytest.Parser) -> None:
    """Declare the options. Called in every pytest run where the plugin is installed: has to stay cheap."""
    group = parser.getgroup("modelconform", "exports of PyTorch models, checked in every runtime")
    group.addoption(
        "--modelconform", action="store_true", help="collect case files and test each case in each format and runtime"
    )
    parser.addini("modelconform", "as --modelconform", type="bool", default=False)
    for name, default, text in _OPTIONS:
        group.addoption(f"--modelconform-{name}", default=None, metavar=name.upper(), help=text)
        parser.addini(f"modelconform_{name}", f"as --modelconform-{name}: {text}", default=default)
    text = "options for an exporter in all cases: a format, or a new variant of it, and what its call takes, such as "
    text += "'onnx@opset18: opset_version=18'; may be given several times"
    group.addoption("--modelconform-export", action="append", metavar="EXPORT", help=text)
    parser.addini("modelconform_export", f"as --modelconform-export, one a line: {text}", type="linelist", default=[])
    blame_option.add(group, parser)
    group.addoption(
        "--modelconform-inline",
        action="store_true",
        help="use no worker processes, so that --pdb works: a crash ends the run; Python runtimes only, without -n",
    )
    parser.addini("modelconform_inline", "as --modelconform-inline", type="bool", default=False)
    group.addoption(
        "--modelconform-strict",
        action="store_true",
        help="fail cells that are imprecise (less exact than faithful arithmetic, but close)",
    )
    parser.addini("modelconform_strict", "as --modelconform-strict", type="bool", default=False)
    text = "run the cases with the tag 'slow', too, which are left out unless their file or the tag is named"
    group.addoption("--modelconform-slow", action="store_true", help=text)
    parser.addini("modelconform_slow", f"as --modelconform-slow: {text}", type="bool", default=False)
    # No ini key: a run that rewrites what it is judged by has to be asked for each time.
    group.addoption(
        "--modelconform-update-expected",
        action="store_true",
        help="rewrite expected.toml at the end to what was seen; fill in the reasons of new entries",
    )


def enabled(config: pytest.Config) -> bool:
    """Whether this run is ours."""
    return bool(config.getoption("--modelconform") or config.getini("modelconform"))


def forgotten(config: pytest.Config) -> str | None:
    """Where `--modelconform` is missing: a sentence if the command line holds options that mean nothing without it."""
    lists = [name for name in typed(config) if name not in _OF_THE_FIXTURE]
    if not lists:
        return None
    return f"--modelconform-{lists[0]} needs --modelconform: case files are not collected without it. {SWITCH_ON}"


def typed(config: pytest.Config) -> Sequence[str]:
    """Names of our options that stand on this run's own command line: not in `addopts`, nor in an ini file."""
    if hasattr(config, "workerinput"):
        return tuple(config.workerinput.get(TYPED, ()))
    words = [str(argument).partition("=")[0] for argument in config.invocation_params.args]
    return tuple(dict.fromkeys(w.removeprefix(_PREFIX) for w in words if w.startswith(_PREFIX)))


def _counts(words: Sequence[str], given: str) -> Sequence[int]:
    """Numbers of threads. Raises pytest.UsageError."""
    import pytest

    if any(not (word.isascii() and word.isdecimal()) or int(word) > MOST_THREADS for word in words):
        raise pytest.UsageError(
            f"--modelconform-threads: invalid list {given!r}: expected numbers from 1 to {MOST_THREADS}, separated by "
            "commas, for example 1,2,8; or 0 for none."
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
        raise pytest.UsageError(
            f"--modelconform-shard: invalid shard {given!r}: expected I/N with 1 ≤ I ≤ N, for example 1/3."
        )
    return index, count


def _memory(given: str) -> tuple[int | None, bool]:
    """Bytes, or None for all; and whether nobody asks. Raises pytest.UsageError."""
    import pytest

    if given in ("", "off"):
        return None, given == "off"
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([MG]i?B)", given)
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if not size:
        raise pytest.UsageError(
            f"--modelconform-memory: invalid size {given!r}: expected a number and GB, GiB, MB or MiB, such as 12GB, "
            "or off."
        )
    return size, False


def settings(config: pytest.Config) -> Settings:
    """The settings of a run. Raises pytest.UsageError for an invalid value."""
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
            f"--modelconform-timeout: invalid limit {value('timeout')!r}: expected a positive number of seconds, for "
            "example 300."
        ) from None
    inline = bool(config.getoption("--modelconform-inline") or config.getini("modelconform_inline"))
    if inline and (config.getoption("numprocesses", None) or hasattr(config, "workerinput")):
        raise pytest.UsageError("--modelconform-inline runs everything in one process: leave out -n, or pass -n 0.")
    update_expected = bool(config.getoption("--modelconform-update-expected"))
    shard = _shard(value("shard").strip())
    if update_expected and shard:
        raise pytest.UsageError(
            "--modelconform-update-expected needs the results of all cells: leave out --modelconform-shard."
        )
    try:
        exports = export_options.parsed(config.getoption("--modelconform-export") or _of_ini(config))
    except export_options.BadExport as error:
        raise pytest.UsageError(str(error)) from None
    memory, memory_off = _memory(value("memory").strip())
    blame, blame_asked = blame_option.seconds(config)
    durations, json, html, log, resume = map(value, ("durations", "json", "html", "log", "resume"))
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
        memory=memory,
        memory_off=memory_off,
        durations=start / durations if durations else None,
        resume=start / resume if resume else None,
        json=start / json if json else None,
        html=start / html if html else None,
        log=start / log if log else None,
        timeout=timeout,
        cache=(start / value("cache")).resolve() if value("cache") else default_folder(),
        inline=inline,
        strict=bool(config.getoption("--modelconform-strict") or config.getini("modelconform_strict")),
        update_expected=update_expected,
        typed=typed(config),
        exports=exports,
        blame=blame,
        blame_asked=blame_asked,
    )


def _of_ini(config: pytest.Config) -> Sequence[str]:
    lines: Sequence[str] = config.getini("modelconform_export")
    return lines
