"""From a cell to its folder: which script shows the failure, and what goes beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..cells.stages import Artifact, Budget, StageFailure
from ..formats import base as format_base
from ..references.prepared import Prepared
from ..terms.case import TORCH
from ..terms.cell import EAGER, CaseRef, Cell
from ..terms.outcome import Outcome, Stage
from ..terms.wording import Refused
from . import export_script, run_script, script
from .folder import Folder
from .seen import readme, summary, versions

if TYPE_CHECKING:
    from ..cells.case_files import Declared
    from ..cells.machinery import Machinery

SCRIPT = "repro.py"
_NUMPY = ("numpy", "ml_dtypes")


class Maker:
    """Writes the folder of a cell. status, problems, written: what it came to."""

    def __init__(self, machinery: Machinery, case: Declared, ref: CaseRef, cell: Cell, outcome: Outcome | None) -> None:
        self.registry = machinery.registry
        self.exports = machinery.pipeline.exports
        self.cache = machinery.cache
        self.pool = machinery.pool
        self.root = machinery.place.root
        self.seconds = machinery.settings.timeout
        self.case, self.ref, self.cell, self.outcome = case, ref, cell, outcome
        self.through = [self.registry.format(name) for name in self.registry.made_through(cell.format, ref.framework)]
        self.status = 0
        self.problems: list[str] = []
        self.written: Sequence[str] = ()

    def make(self, path: Path) -> None:
        """Export, and write. Raises Refused where an exporter isn't there, or the case is not fit."""
        for module in self.through:
            if missing := format_base.unavailable(module):
                raise Refused(f"format {module.NAME} {missing}")
        try:
            prepared = self.exports.prepare(self.ref, self._budget())
        except StageFailure as failure:
            self.status = 1
            self.problems.append(f"{failure.verdict.value} at stage {failure.stage.value}: {failure}")
            return
        artifact = self._artifact(prepared, self.cell.format)
        if isinstance(artifact, Artifact):
            self._write_run(Folder.opened(path), prepared, artifact)
            return
        self.status = 1
        said = f"{artifact.verdict.value} at stage {artifact.stage.value}: {artifact}"
        self.problems.append(f"{self.cell.format} can't be exported: {said}")
        self._write_export(Folder.opened(path), prepared, said)

    def _budget(self) -> Budget:
        return Budget(self.seconds, self.pool)

    def _artifact(self, prepared: Prepared, name: str) -> Artifact | StageFailure:
        # No runtime: none is to be started.
        cell = replace(self.cell, format=name, runtime=EAGER)
        try:
            return self.exports.artifact(self.ref, prepared, cell, self._budget(), lambda outcome: False)
        except StageFailure as failure:
            if failure.stage is not Stage.EXPORT:
                raise Refused(f"{failure.verdict.value} at stage {failure.stage.value}: {failure}") from failure
            return failure

    # -- a runtime that fails ----------------------------------------------------------------------------------------

    def _write_run(self, folder: Folder, prepared: Prepared, artifact: Artifact) -> None:
        runtime = self.registry.runtime(self.cell.runtime)
        judge = prepared
        if self.cell.precision != self.ref.precision:
            try:
                judge = self.exports.prepare(replace(self.ref, precision=self.cell.precision), self._budget())
            except StageFailure as failure:
                raise Refused(f"{failure.verdict.value} at stage {failure.stage.value}: {failure}") from failure
        folder.add_artifact(artifact.folder)
        sets = run_script.write_inputs(folder, self.cell, judge, artifact, self.through, runtime)
        elsewhere = runtime.ENVIRONMENT.versions() if runtime.ENVIRONMENT else {}
        package = runtime.REQUIRES[0] if runtime.REQUIRES else runtime.PACKAGE
        installed = versions(runtime.REQUIRES[:1]) or elsewhere
        known = f"{package} {installed[package]}" if package in installed else package
        title = f"{known}: {self.cell.case} in {self.cell.format}"
        if runtime.REPRO:
            repeats = self.through[0].REPEATS
            what = "Runs the model and compares what it returns with what PyTorch does."
            docstring = self._docstring(title, "\n".join(filter(None, (what, runtime.REPRO_NOTE))))
            text = run_script.text(docstring, runtime.REPRO, self.cell, judge, artifact, sets, repeats)
            folder.add_text(SCRIPT, text)
            for extra in script.extra_files(runtime.REPRO):
                folder.add(extra)
        else:
            self._no_script("runtime", self.cell.runtime, self.registry.runtimes)
        expected = (
            "In `expected-*.safetensors`: what the model returns in PyTorch, computed in float64 where it is made of "
            "floating-point numbers, and for each element how far from it an implementation that is as exact as "
            "PyTorch may be (`… allowed`)."
        )
        listed = {**elsewhere, **versions([*runtime.REQUIRES, *_NUMPY])}
        self._close(folder, title, expected, summary(self.outcome), listed, runtime.REPRO, runtime.REPRO_NOTE)

    # -- an exporter or converter that fails -------------------------------------------------------------------------

    def _write_export(self, folder: Folder, prepared: Prepared, said: str) -> None:
        """The script of the first format on the way that can't be made."""
        module = self.through[-1]
        source: Artifact | None = None
        for name in [module.NAME for module in reversed(self.through)]:
            found = self._artifact(prepared, name)
            module = self.registry.format(name)
            if not isinstance(found, Artifact):
                break
            source = found
        title = f"{self.cell.case} can't be exported to {module.NAME}"
        entry = prepared.sets[prepared.content.exporter_set]
        docstring = self._docstring(title, "Exports the model; the exporter's own exception is the failure.")
        has_script = bool(module.REPRO) and (source is not None or self.ref.framework == TORCH)
        if source is not None:
            folder.add_artifact(source.folder)
            if has_script:
                model = source.signature.file
                folder.add_text(SCRIPT, export_script.converter_text(docstring, module.REPRO, model))
        else:
            folder.add(entry.file)
            files = list(self.cache.files_of(prepared.key))
            case = export_script.write_case(folder, self.ref, files, self.root, self.pool.path)
            weights = self._write_weights(folder, prepared)
            if has_script:
                text = export_script.text(docstring, module, module.REPRO, self.cell, prepared, case, weights)
                folder.add_text(SCRIPT, text)
        if not has_script:
            self._no_script("format", module.NAME, self.registry.formats)
        seen = summary(self.outcome if self.outcome and self.outcome.stage is Stage.EXPORT else None, said)
        expected = "The model runs in PyTorch; it is exported, too."
        listed = versions(list(dict.fromkeys((*module.REQUIRES, *self.case.requires, *_NUMPY))))
        self._close(folder, title, expected, seen, listed, SCRIPT if has_script else "")

    def _write_weights(self, folder: Folder, prepared: Prepared) -> str:
        """The file's name; "" where the state_dict can't be stored, so that a script's model has other weights."""
        if self.ref.framework != TORCH:
            return ""
        found = self._artifact(prepared, "state-dict")
        if not isinstance(found, Artifact):
            self.problems.append(f"the model in the script has other weights: {found}")
            return ""
        folder.add(found.path, export_script.WEIGHTS)
        return export_script.WEIGHTS

    # -- both --------------------------------------------------------------------------------------------------------

    def _no_script(self, kind: str, name: str, names: Sequence[str]) -> None:
        module_of = self.registry.runtime if kind == "runtime" else self.registry.format
        known = ", ".join(other for other in names if module_of(other).REPRO)
        self.problems.append(f"there is no script for {kind} {name}, all else is written; there is one for {known}")

    def _docstring(self, title: str, what: str) -> str:
        return f"{title}.\n\n{what}\nSee README.md for versions.\n"

    def _close(
        self, folder: Folder, title: str, expected: str, seen: str, listed: dict[str, str], part: str, note: str = ""
    ) -> None:
        command = f"python {SCRIPT}" if part else ""
        files = list(folder.written)
        folder.add_text("README.md", readme(self.cell, title, expected, seen, listed, files, command, note))
        folder.close(self.cell.id)
        self.written = list(folder.written)
