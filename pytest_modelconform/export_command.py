"""`modelconform export`: an artifact, alone or with the inputs and references of each input set, where the user says.

A run of pytest on the case file that collects nothing and exports in the place of running tests. So the root folder,
ini files, conftest.py, the formats of other packages, the case host and the cache are what `pytest --modelconform` has,
and what is written is the artifact that it tests.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import collect
from .case import DEFAULTS
from .export_files import NoPlace, refuse_name, write_file, write_folder
from .exports import Artifact, Budget, CaseRef, StageFailure
from .formats import base as format_base
from .formats.base import Format
from .outcome import EAGER, Cell
from .references import Prepared
from .runtimes.base import missing_packages
from .tolerances import choose

if TYPE_CHECKING:
    from .session import SessionPlugin


# Description, references, artifact and its format.
Found = tuple[dict[str, Any], Prepared, Artifact, Format]

EXAMPLES = """\
  modelconform export cases/plain/net.py --format torchscript-trace --to exported
  modelconform export cases/vision/vit.py --format onnx --dtype float32 --to exported

exit status: 0; 1 where the export failed; 2 where there is no such case or format."""


class Refused(Exception):
    """There is nothing to export. The message says why and what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform export`."""
    parser.add_argument("case", metavar="CASE.py[::case]", help="case file, and the case's name if it has several")
    parser.add_argument("-f", "--format", required=True, help="format to export to, as `torchscript-trace`")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the artifact alone, under this name")
    text = "write the artifact with inputs and references; made if it isn't there"
    place.add_argument("--to", type=Path, metavar="FOLDER", help=text)
    parser.add_argument("--dtype", default="float32", choices=list(DEFAULTS), help="the dtype that the case is cast to")
    parser.add_argument("--timeout", default="300", help="limit in seconds (default: 300)")


def run(arguments: argparse.Namespace) -> int:
    """Export, and print what was written. 1 where that failed, 2 where there is nothing of that name."""
    file, _, name = arguments.case.partition("::")
    if not collect.is_case_file(Path(file)):
        why = "imports no pytest_modelconform" if Path(file).is_file() else "isn't there"
        print(f"modelconform export: {file} {why}: name a case file", file=sys.stderr)
        return 2
    plugin = ExportPlugin(Path(file), name, arguments.format, arguments.dtype, arguments.output)
    # Options of the ini file and the environment are for runs of tests, and may ask for several processes.
    os.environ.pop("PYTEST_ADDOPTS", None)
    options = ["-o", "addopts=", "-o", "filterwarnings=", "--assert=plain", "-qqq", "-s", "--no-header"]
    options.append("--disable-warnings")
    options += ["--modelconform", "--modelconform-runtimes=all"]
    options += [f"--modelconform-formats={arguments.format}", f"--modelconform-timeout={arguments.timeout}"]
    # stdout is for what was written.
    with contextlib.redirect_stdout(sys.stderr):
        status = pytest.main([*options, file], plugins=[plugin])
    if plugin.problem:
        print(f"modelconform export: {plugin.problem}", file=sys.stderr)
        return plugin.status
    if plugin.found is None:
        return int(status) or 1  # pytest has said why
    description, prepared, artifact, module = plugin.found
    try:
        if arguments.output:
            written = write_file(arguments.output, module, artifact)
        else:
            written = write_folder(arguments.to, description, prepared, artifact)
    except NoPlace as refused:
        print(f"modelconform export: {refused}", file=sys.stderr)
        return 2
    for path in written:
        print(f"{path}  {_size(path)} bytes")
    return 0


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


class ExportPlugin:
    """Exports one case in the place of pytest's own loop."""

    def __init__(self, file: Path, case: str, format_name: str, dtype: str, output: Path | None) -> None:
        self.file = file.resolve()
        self.case = case
        self.format = format_name
        self.dtype = dtype
        self.output = output
        self.found: Found | None = None
        self.problem = ""
        self.status = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> bool:
        """Nothing is collected."""
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Export."""
        try:
            self.found = self.export(collect.session_of(session.config))
        except (Refused, NoPlace) as refused:
            self.problem, self.status = str(refused), 2
        except StageFailure as failure:
            what = f"{failure.verdict.value} at stage {failure.stage.value}"
            self.problem, self.status = f"{self.file.name} in {self.format}: {what}: {failure}", 1
        return True

    def export(self, plugin: SessionPlugin) -> Found:
        """The case's description, references and artifact. Raises Refused, NoPlace or StageFailure."""
        module = plugin.registry.format(self.format)
        if self.output:
            refuse_name(self.output, module)
        declared = self._declared(plugin)
        if not plugin.registry.holds(self.format, declared.framework):
            raise Refused(f"format {self.format} holds no model of {declared.framework}")
        for format_name in plugin.registry.made_through(self.format, declared.framework):
            if missing := format_base.unavailable(plugin.registry.format(format_name)):
                raise Refused(f"format {format_name} {missing}")
        root = plugin.config.rootpath
        relative = self.file.relative_to(root).as_posix() if root in self.file.parents else self.file.name
        ref = CaseRef(self.file, relative, declared.name, self.dtype, framework=declared.framework)
        # No runtime: the check stands for none.
        cell = Cell(relative, declared.name, self.format, EAGER, dtype=self.dtype)
        budget = Budget(plugin.settings.timeout, plugin.pool)
        prepared = plugin.pipeline.exports.prepare(ref, budget)
        artifact = plugin.pipeline.exports.artifact(ref, prepared, cell, budget, lambda outcome: False)
        tolerance, _ = choose(prepared.tolerance, prepared.tolerances, cell)
        description = {
            "case": f"{relative}::{declared.name}",
            "format": self.format,
            "dtype": self.dtype,
            "tolerance": asdict(tolerance),
            "tolerances": {key: asdict(other) for key, other in prepared.tolerances.items()},
            "framework": declared.framework,
            "input_sets": {
                entry.name: {
                    "args": entry.args,
                    "kwargs": entry.kwargs,
                    "outputs": entry.outputs,
                    "shapes": dict(entry.shapes),
                    "generated": entry.generated,
                    "may_refuse": entry.may_refuse,
                    "inputs_changed": sorted(entry.inputs_changed),
                }
                for entry in prepared.sets.values()
            },
            "notes": list(prepared.content["notes"]),
        }
        return description, prepared, artifact, module

    def _declared(self, plugin: SessionPlugin) -> collect.Declared:
        declaration = plugin.declare(self.file)
        if declaration.problem is not None:
            stage = declaration.problem.stage.value if declaration.problem.stage else "collect"
            raise Refused(f"{declaration.problem.verdict.value} at stage {stage}: {declaration.problem.message}")
        names = [declared.name for declared in declaration.cases]
        if not self.case and len(names) > 1:
            raise Refused(f"{self.file.name} has several cases: name one of {_spelled(self.file, names)}")
        wanted = self.case or names[0]
        found = next((declared for declared in declaration.cases if declared.name == wanted), None)
        if found is None:
            near = difflib.get_close_matches(wanted, names, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise Refused(f"{self.file.name} has no case {wanted!r}.{hint} It has {_spelled(self.file, names)}")
        if fault := found.fault:
            raise Refused(fault)
        if missing := missing_packages(found.requires):
            raise Refused(f"case {found.name!r} {missing}")
        return found


def _spelled(file: Path, names: Sequence[str]) -> str:
    return ", ".join(f"{file.name}::{name}" for name in names)
