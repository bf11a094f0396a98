"""`modelconform export`: an artifact, with the inputs and references of each input set, in a folder of the user's.

A run of pytest on the case file that collects nothing and exports in the place of running tests. So the root folder,
ini files, conftest.py, the formats of other packages, the case host and the cache are what `pytest --modelconform` has,
and what is written is the artifact that it tests.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import collect
from .case import DEFAULTS
from .exports import Artifact, Budget, CaseRef, StageFailure
from .formats import base as format_base
from .outcome import EAGER, Cell
from .references import Prepared
from .runtimes.base import missing_packages
from .tolerances import choose

if TYPE_CHECKING:
    from .session import SessionPlugin

# What describes the case in the folder; cpp/reference.cpp reads the tolerance in it.
DESCRIPTION = "case.json"

EXAMPLES = """\
  modelconform export cases/plain/net.py --format torchscript-trace --to exported
  modelconform export cases/vision/vit.py --format onnx --dtype float32 --to exported

exit status: 0; 1 where the export failed; 2 where there is no such case or format."""


class Refused(Exception):
    """There is nothing to export. The message says why and what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform export`."""
    parser.add_argument("case", metavar="CASE.py[::case]", help="case file, and the case's name if it has several")
    parser.add_argument("--format", required=True, help="format to export to, as `torchscript-trace`")
    parser.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="made if it isn't there")
    parser.add_argument("--dtype", default="float32", choices=list(DEFAULTS), help="the dtype that the case is cast to")
    parser.add_argument("--timeout", default="300", help="limit in seconds (default: 300)")


def run(arguments: argparse.Namespace) -> int:
    """Export, and print what was written. 1 where that failed, 2 where there is nothing of that name."""
    file, _, name = arguments.case.partition("::")
    if not collect.is_case_file(Path(file)):
        why = "imports no pytest_modelconform" if Path(file).is_file() else "isn't there"
        print(f"modelconform export: {file} {why}: name a case file", file=sys.stderr)
        return 2
    plugin = ExportPlugin(file=Path(file), case=name, **{key: getattr(arguments, key) for key in ("format", "dtype")})
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
    for path in write(arguments.to, *plugin.found):
        print(f"{path}  {path.stat().st_size} bytes")
    return 0


class ExportPlugin:
    """Exports one case in the place of pytest's own loop."""

    def __init__(self, file: Path, case: str, format: str, dtype: str) -> None:  # noqa: A002 (as the option)
        self.file = file.resolve()
        self.case = case
        self.format = format
        self.dtype = dtype
        self.found: tuple[dict[str, Any], Prepared, Artifact] | None = None
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
        except Refused as refused:
            self.problem, self.status = str(refused), 2
        except StageFailure as failure:
            what = f"{failure.verdict.value} at stage {failure.stage.value}"
            self.problem, self.status = f"{self.file.name} in {self.format}: {what}: {failure}", 1
        return True

    def export(self, plugin: SessionPlugin) -> tuple[dict[str, Any], Prepared, Artifact]:
        """The case's description, references and artifact. Raises Refused or StageFailure."""
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
            "input_sets": {
                entry.name: {
                    "args": entry.args,
                    "kwargs": entry.kwargs,
                    "outputs": entry.outputs,
                    "shapes": dict(entry.shapes),
                    "generated": entry.generated,
                    "may_refuse": entry.may_refuse,
                }
                for entry in prepared.sets.values()
            },
            "notes": list(prepared.content["notes"]),
        }
        return description, prepared, artifact

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


def write(folder: Path, description: dict[str, Any], prepared: Prepared, artifact: Artifact) -> list[Path]:
    """Copy to a folder, and return what is there now, in order. Input sets of an earlier export go."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [path for path in sorted(artifact.folder.iterdir()) if path.name != "export.json"]
    for name in prepared.sets:
        stems = (f"inputs-{name}.safetensors", f"references-{name}.safetensors", f"references-{name}.json")
        sources += [prepared.folder / stem for stem in stems]
    written = [folder / source.name for source in sources]
    for pattern in ("inputs-*.safetensors", "references-*.safetensors", "references-*.json"):
        for old in set(folder.glob(pattern)) - set(written):
            old.unlink()
    for source, target in zip(sources, written, strict=True):
        # A program that has the old file mapped keeps it.
        partial = target.with_name(f".{target.name}.partial")
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, partial, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, partial)
        partial.replace(target)
    described = folder / DESCRIPTION
    described.write_text(json.dumps(description, indent=1) + "\n")
    return [*written, described]
