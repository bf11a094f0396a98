"""`modelconform export`: an artifact, with the inputs and references of each input set, in a folder of the user's.

What is written is the artifact that `pytest --modelconform` tests: see case_session.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import case_session
from .case import DEFAULTS
from .case_session import Refused
from .exports import Artifact, Budget, StageFailure
from .formats import base as format_base
from .outcome import EAGER, Cell
from .references import Prepared
from .tolerances import choose

if TYPE_CHECKING:
    from .session import SessionPlugin

# What describes the case in the folder; cpp/reference.cpp reads the tolerance in it.
DESCRIPTION = "case.json"


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
    if why := case_session.no_case_file(file):
        print(f"modelconform export: {why}", file=sys.stderr)
        return 2
    plugin = ExportPlugin(file=Path(file), case=name, **{key: getattr(arguments, key) for key in ("format", "dtype")})
    status = case_session.run(plugin, file, arguments.format, arguments.timeout)
    if problem := plugin.refused or plugin.failed:
        print(f"modelconform export: {problem}", file=sys.stderr)
        return 2 if plugin.refused else 1
    if plugin.found is None:
        return status or 1  # pytest has said why
    for path in write(arguments.to, *plugin.found):
        print(f"{path}  {path.stat().st_size} bytes")
    return 0


class ExportPlugin(case_session.InPlaceOfTests):
    """Exports one case in the place of running tests."""

    def __init__(self, file: Path, case: str, format: str, dtype: str) -> None:  # noqa: A002 (as the option)
        super().__init__(self.try_to_export)
        self.file = file.resolve()
        self.case = case
        self.format = format
        self.dtype = dtype
        self.found: tuple[dict[str, Any], Prepared, Artifact] | None = None
        self.failed = ""

    def try_to_export(self, plugin: SessionPlugin) -> None:
        """Export, or note why that failed. Raises Refused."""
        try:
            self.found = self.export(plugin)
        except StageFailure as failure:
            what = f"{failure.verdict.value} at stage {failure.stage.value}"
            self.failed = f"{self.file.name} in {self.format}: {what}: {failure}"

    def export(self, plugin: SessionPlugin) -> tuple[dict[str, Any], Prepared, Artifact]:
        """The case's description, references and artifact. Raises Refused or StageFailure."""
        declared = case_session.declared(plugin, self.file, self.case)
        if not plugin.registry.holds(self.format, declared.framework):
            raise Refused(f"format {self.format} holds no model of {declared.framework}")
        for format_name in plugin.registry.made_through(self.format, declared.framework):
            if missing := format_base.unavailable(plugin.registry.format(format_name)):
                raise Refused(f"format {format_name} {missing}")
        ref = case_session.reference_to(plugin, self.file, declared, self.dtype)
        # No runtime: the check stands for none.
        cell = Cell(ref.relative, declared.name, self.format, EAGER, dtype=self.dtype)
        budget = Budget(plugin.settings.timeout, plugin.pool)
        prepared = plugin.pipeline.exports.prepare(ref, budget)
        artifact = plugin.pipeline.exports.artifact(ref, prepared, cell, budget, lambda outcome: False)
        tolerance, _ = choose(prepared.tolerance, prepared.tolerances, cell)
        description = {
            "case": f"{ref.relative}::{declared.name}",
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
        case_session.copy(source, target)
    described = folder / DESCRIPTION
    described.write_text(json.dumps(description, indent=1) + "\n")
    return [*written, described]
