"""A file that something else wrote, as the artifact of a case: matched with its model, and compared with that."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...cells.stages import Budget
from ...runtimes.base import Runtime
from ...terms.case import TORCH
from ...terms.cell import Cell
from ...terms.exports import AT, Export, Given, base_of
from ...terms.wording import Refused
from .. import case_argument
from .artifact import Found, foreign_signature

if TYPE_CHECKING:
    from ...plugin.run import Run

# The variant that the file is, of its format.
_VARIANT = "file"


def against_case(run: Run, arguments: argparse.Namespace, runtime: Runtime) -> Found:
    """The file with the case's references. Raises Refused, StageFailure, and what `find` raises."""
    path: Path = arguments.artifact
    if not path.is_file():
        raise Refused(f"{path} is no file. Name the file that was exported.")
    registry = run.machinery.registry
    named = base_of(arguments.format)
    column = f"{foreign_signature(path, runtime, registry, named)['format']}{AT}{_VARIANT}"
    file, _, name = arguments.case.partition("::")
    case_file = Path(case_argument.located(file)).resolve()
    case = case_argument.declared(run, case_file, name)
    if case.framework != TORCH:
        raise Refused(
            f"the case {case.name!r} is written in {case.framework}: files are compared with models in PyTorch"
        )
    export = Export(
        file=str(path.resolve()),
        inputs=_pairs("--match-input", arguments.match_input),
        outputs=_pairs("--match-output", arguments.match_output),
    )
    exports = run.machinery.pipeline.exports
    exports.columns.given = {**exports.columns.given, column: Given("", "", export)}
    ref = case_argument.reference_to(run, case_file, case, arguments.dtype)
    cell = Cell(ref.relative, case.name, column, runtime.NAME, arguments.device, arguments.dtype)
    budget = Budget(run.settings.timeout, run.machinery.pool)
    prepared = exports.prepare(ref, budget)
    artifact = exports.artifact(ref, prepared, cell, budget, lambda outcome: False)
    return Found(replace(artifact, cached=True), base_of(column), prepared, arguments.dtype)


def _pairs(option: str, texts: Sequence[str]) -> Mapping[str, str]:
    """Names of the model by those of the file. Raises Refused."""
    found = {}
    for text in texts:
        file, equals, model = text.rpartition("=")
        if not equals or not file or not model:
            raise Refused(f"{option} {text}: FILE=MODEL was expected, a name of the file's and one of the model's.")
        found[file] = model
    return found
