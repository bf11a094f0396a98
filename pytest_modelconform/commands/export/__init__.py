"""`modelconform export`: an artifact, alone or with the inputs and references of each input set, where the user says.

What is written is the artifact that `pytest --modelconform` tests: see pytest_session.py.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...advice.table import advised
from ...cells.stages import Artifact, Budget, StageFailure
from ...formats import base as format_base
from ...formats.base import Format
from ...references.prepared import InputSet, Prepared
from ...report import places
from ...terms.accuracy import of_generated
from ...terms.case import DEFAULTS, Tolerance
from ...terms.cell import EAGER, Cell
from ...terms.exports import is_variant
from ...terms.tolerances import choose
from ...terms.wording import Refused
from .. import case_argument
from .files import refuse_place, write_file, write_folder

if TYPE_CHECKING:
    from ...plugin.run import Run


# Description, references, artifact and its format.
Found = tuple[dict[str, Any], Prepared, Artifact, Format]

EXAMPLES = """\
  modelconform export cases/plain/net.py --format torchscript-trace --to exported
  modelconform export cases/vision/vit.py --format onnx -o vit.onnx

exit status: 0; 1 where the export failed;
2 where there is no such case or format, or the place can't be written to."""


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
    """Export, and print what was written. 1 where that failed, 2 where there is no such name or no such place."""
    file, _, name = arguments.case.partition("::")
    file = case_argument.located(file)
    export = _Export(Path(file), name, arguments)
    return case_argument.run("export", file, export.write, timeout=arguments.timeout)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


class _Export:
    """One case in one format."""

    def __init__(self, file: Path, case: str, arguments: argparse.Namespace) -> None:
        self.file = file.resolve()
        self.case = case
        self.format: str = arguments.format
        self.dtype: str = arguments.dtype
        self.output: Path | None = arguments.output
        self.folder: Path | None = arguments.to

    def write(self, run: Run) -> int:
        """Export, write, and print what was written. Raises Refused."""
        try:
            description, prepared, artifact, module = self.export(run)
        except StageFailure as failure:
            what = f"{failure.verdict.value} at stage {failure.stage.value}"
            said = advised(failure.outcome()).message
            print(f"modelconform export: {self.file.name} in {self.format}: {what}: {said}", file=sys.stderr)
            return 1
        try:
            if self.output:
                written = write_file(self.output, module, artifact)
            else:
                assert self.folder is not None  # one of them is required
                written = write_folder(self.folder, description, prepared, artifact)
        except OSError as error:
            raise Refused(f"{self.output or self.folder} could not be written: {places.why(error)}") from error
        for path in written:
            print(f"{path}  {_size(path)} bytes")
        return 0

    def export(self, run: Run) -> Found:
        """The case's description, references and artifact. Raises Refused or StageFailure."""
        module = run.machinery.registry.format(self.format)
        if module.IN_PLACE:
            raise Refused(
                f"the format {self.format} stores nothing: its runtimes build the model. Choose another format."
            )
        refuse_place(self.output, self.folder, module)
        declared = case_argument.declared(run, self.file, self.case)
        kinds = {**declared.exports, **dict.fromkeys(run.settings.exports)}
        if is_variant(self.format) and self.format not in kinds:
            others = [name for name in kinds if is_variant(name)]
            has = f"it has {', '.join(others)}" if others else "it has none"
            raise Refused(f"the case {declared.name!r} has no export {self.format!r}: {has}")
        if not run.machinery.registry.holds(self.format, declared.framework, declared.own_columns):
            raise Refused(f"the format {self.format} can't hold a model in {declared.framework}: choose another format")
        for format_name in run.machinery.registry.made_through(self.format, declared.framework, declared.own_columns):
            if missing := format_base.unavailable(run.machinery.registry.format(format_name)):
                raise Refused(f"format {format_name} {missing}")
        ref = case_argument.reference_to(run, self.file, declared, self.dtype)
        # No runtime: the check stands for none.
        cell = Cell(ref.relative, declared.name, self.format, EAGER, dtype=self.dtype)
        budget = Budget(run.settings.timeout, run.machinery.pool)
        prepared = run.machinery.pipeline.exports.prepare(ref, budget)
        artifact = run.machinery.pipeline.exports.artifact(ref, prepared, cell, budget, lambda outcome: False)
        tolerance, _ = choose(prepared.tolerance, prepared.tolerances, cell)
        description = {
            "case": f"{ref.relative}::{declared.name}",
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
                    **_own_tolerance(self.format, tolerance, entry),
                }
                for entry in prepared.sets.values()
            },
            "notes": list(prepared.content.notes),
        }
        return description, prepared, artifact, module


def _own_tolerance(format_name: str, tolerance: Tolerance, entry: InputSet) -> dict[str, Any]:
    """What stands beside an input set that isn't compared as the case says: {"tolerance": …}, or nothing."""
    own = of_generated(format_name, tolerance, entry.name) if entry.generated else tolerance
    return {} if own == tolerance else {"tolerance": asdict(own)}
