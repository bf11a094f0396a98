"""How much there is to divide among processes, told from the command line and from files that are not run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..cells.case_files import is_case_file, static_cases
from ..cells.registry import Registry, register_built_in
from ..cells.selection import select
from ..cells.settings import Settings
from ..terms.cell import EAGER
from ..terms.exports import is_variant
from .named import python_files

_A_CASE = re.compile(r"\bCase\s*\(")


class OrdinaryTests(Exception):
    """Tests that are not ours are to run as well. Its text is one of the files."""


def units(config: pytest.Config, settings: Settings, enough: int) -> int:
    """How many units of a case, format and dtype there are at the most; what is beyond `enough` may not be counted.

    Raises OrdinaryTests where files other than case files are collected.
    """
    named: set[str] = set()
    files: list[Path] = []
    for argument in config.args:
        name, _, node = argument.partition("::")
        found_here = list(collected(config, Path(config.invocation_params.dir, name)))
        if not node:
            files += found_here
        # A model check comes to what the other cells of its case need anyway.
        elif not node.partition("[")[2].startswith(EAGER):
            named.add(_unit(argument))
    found = len(named)
    formats = _formats(settings)
    for path in files:
        if found < enough:
            found += _units_of(path, formats) or enough
    return found


def collected(config: pytest.Config, path: Path) -> Iterator[Path]:
    """The case files that pytest collects for a path. Raises OrdinaryTests where it collects others, too."""
    if not path.is_dir():
        if is_case_file(path):
            yield path
        # One that is missing is pytest's to say, unless it is the name of a package.
        elif path.exists() or config.getoption("pyargs", False):
            raise OrdinaryTests(path.name)
        return
    patterns = config.getini("python_files")
    for file in python_files(config, path):
        if is_case_file(file):
            yield file
        elif any(file.match(pattern) for pattern in patterns):
            raise OrdinaryTests(file.name)


def _unit(node_id: str) -> str:
    from .plan import scope_of

    return scope_of(node_id)


def _formats(settings: Settings) -> int | None:
    """How many formats a run has; None where other packages' are among them, or a name is none."""
    registry = Registry()
    register_built_in(registry)
    try:
        return len(select(registry, settings).formats)
    except ValueError:
        return None


def _units_of(path: Path, formats: int | None) -> int | None:
    """The units of a file; None if it makes cases that can't be told by its syntax."""
    cases = static_cases(path)
    if formats is None or len(_A_CASE.findall(path.read_text(encoding="utf-8", errors="replace"))) != len(cases):
        return None
    # What trains has artifacts of its own.
    return sum(
        len(case.dtypes) * (formats * (2 if "train" in case.has else 1) + sum(map(is_variant, case.exports)))
        for case in cases
    )
