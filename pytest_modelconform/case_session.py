"""What commands on a case share: a session of pytest that collects nothing and does something else in its place.

So the root folder, ini files, conftest.py, the formats of other packages, the case host and the cache are what
`pytest --modelconform` has.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from . import collect
from .exports import CaseRef
from .runtimes.base import missing_packages

if TYPE_CHECKING:
    from .session import SessionPlugin


class Refused(Exception):
    """There is nothing of that name, or nothing that can be done. The message says why and what to do."""


def no_case_file(file: str) -> str | None:
    """None for a case file, else a sentence."""
    if collect.is_case_file(Path(file)):
        return None
    why = "imports no pytest_modelconform" if Path(file).is_file() else "isn't there"
    return f"{file} {why}: name a case file"


class InPlaceOfTests:
    """Does `work` in the place of pytest's own loop. refused: the message, if that raised Refused."""

    def __init__(self, work: Callable[[SessionPlugin], None]) -> None:
        self.work = work
        self.refused = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> bool:
        """Nothing is collected."""
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Do it."""
        try:
            self.work(collect.session_of(session.config))
        except Refused as refused:
            self.refused = str(refused)
        return True


def run(plugin: InPlaceOfTests, file: str, formats: str, timeout: str) -> int:
    """Run the session of a case file; pytest's exit status."""
    # Options of the ini file and the environment are for runs of tests, and may ask for several processes.
    os.environ.pop("PYTEST_ADDOPTS", None)
    options = ["-o", "addopts=", "-o", "filterwarnings=", "--assert=plain", "-qqq", "-s", "--no-header"]
    options.append("--disable-warnings")
    options += ["--modelconform", "--modelconform-runtimes=all"]
    options += [f"--modelconform-formats={formats}", f"--modelconform-timeout={timeout}"]
    # stdout is for what was written.
    with contextlib.redirect_stdout(sys.stderr):
        return int(pytest.main([*options, file], plugins=[plugin]))


def declared(plugin: SessionPlugin, file: Path, name: str) -> collect.Declared:
    """The case of a name in a file, or its only one. Raises Refused."""
    declaration = plugin.declare(file)
    if declaration.problem is not None:
        stage = declaration.problem.stage.value if declaration.problem.stage else "collect"
        raise Refused(f"{declaration.problem.verdict.value} at stage {stage}: {declaration.problem.message}")
    names = [declared.name for declared in declaration.cases]
    if not name and len(names) > 1:
        raise Refused(f"{file.name} has several cases: name one of {_spelled(file, names)}")
    wanted = name or names[0]
    found = next((declared for declared in declaration.cases if declared.name == wanted), None)
    if found is None:
        near = difflib.get_close_matches(wanted, names, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise Refused(f"{file.name} has no case {wanted!r}.{hint} It has {_spelled(file, names)}")
    if fault := found.fault:
        raise Refused(fault)
    if missing := missing_packages(found.requires):
        raise Refused(f"case {found.name!r} {missing}")
    return found


def reference_to(plugin: SessionPlugin, file: Path, case: collect.Declared, dtype: str) -> CaseRef:
    """The case as pipelines ask for it."""
    root = plugin.config.rootpath
    relative = file.relative_to(root).as_posix() if root in file.parents else file.name
    return CaseRef(file, relative, case.name, dtype, framework=case.framework)


def _spelled(file: Path, names: Sequence[str]) -> str:
    return ", ".join(f"{file.name}::{name}" for name in names)


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder, in the place of an earlier one."""
    # A program that has the old file mapped keeps it.
    partial = target.with_name(f".{target.name}.partial")
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, partial, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, partial)
    partial.replace(target)
