"""Which scripts show a failure of what was exported, and the files that they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..cells.stages import Artifact
from ..formats.base import Format
from ..references.prepared import Prepared
from ..runtimes.base import Runtime
from ..terms.case import INT8, TORCH
from ..terms.cell import Cell
from . import export_script, run_script, script
from .concern import About, Concern, Opinion, Party
from .folder import Folder
from .work import Work

SCRIPT, EXPORT_SCRIPT = "repro.py", "export.py"


def docstring_of(title: str, what: str) -> str:
    """Of a script."""
    return f"{title}.\n\n{what}\nSee README.md for versions.\n"


@dataclass(frozen=True)
class Model:
    """A case's model as files. stated: what scripts say of them; weights: the file's name, "" where there is none."""

    cell: Cell
    prepared: Prepared
    stated: Mapping[str, Any]
    weights: str
    complete: bool

    @classmethod
    def written(cls, work: Work, folder: Folder, prepared: Prepared) -> Model:
        """Copy the case's files, with the weights. complete: whether the model of a script has those."""
        machinery = work.machinery
        folder.add(prepared.sets[prepared.content.exporter_set].file)
        files = list(machinery.cache.files_of(prepared.key))
        case = export_script.write_case(folder, work.ref, files, machinery.place.root, machinery.pool.path)
        weights, complete = "", False
        if work.ref.framework == TORCH and work.cell.dtype != INT8:
            found = work.artifact(prepared, "state-dict")
            if isinstance(found, Artifact):
                folder.add(found.path, export_script.WEIGHTS)
                weights, complete = export_script.WEIGHTS, True
            else:
                work.problems.append(f"the model in the script has other weights: {found}")
        return cls(work.cell, prepared, case, weights, complete)

    @property
    def file(self) -> str:
        """The case's file in the folder."""
        return str(self.stated["file"])

    def facts(self, module: Format, artifact: Artifact | None = None) -> dict[str, Any]:
        """What a script says of the model and its export. artifact: None where there is none."""
        dynamic = artifact is not None and not artifact.signature.static
        return export_script.facts_of(module, self.cell, self.prepared, self.stated, self.weights, dynamic)


class Scripts:
    """The scripts of a cell whose artifact can be made.

    prepared: what it was exported from; judge: what outputs are compared with. note, also, case_file: for the README.
    exports: whether a script exports or converts.
    """

    def __init__(
        self,
        work: Work,
        folder: Folder,
        prepared: Prepared,
        judge: Prepared,
        artifact: Artifact,
        found: Concern,
        opinions: Sequence[Opinion],
    ) -> None:
        self.work, self.folder = work, folder
        self.prepared, self.judge, self.artifact = prepared, judge, artifact
        self.found, self.opinions = found, opinions
        self.note = ""
        self.also: dict[str, str] = {}
        self.case_file = ""
        self.exports = False

    def write(self) -> None:
        """Write the scripts with what they read: of the exporter where that is at fault, else of the runtime."""
        party = self.found.party
        if self.work.through[0].IN_PLACE and self._write_exporting(SCRIPT):
            return
        if party in (Party.EXPORTER, Party.CAPTURE) and self._write_exporting(SCRIPT):
            return
        if party is Party.CONVERTER and self._write_converting():
            return
        self._write_running()
        if party is Party.EITHER and len(self.work.through) == 1 and self._write_exporting(EXPORT_SCRIPT):
            self.also[EXPORT_SCRIPT] = "exports the model itself before it runs that."

    # -- what each shows -------------------------------------------------------------------------------------------

    def _write_running(self) -> None:
        cell, runtime = self.work.cell, self.work.runtime
        self.folder.add_artifact(self.artifact.folder)
        sets = self._inputs(cell, runtime, self.artifact)
        if not runtime.REPRO:
            self.work.no_script(runtime)
            return
        what = "Runs the model and compares what it returns with what PyTorch does."
        docstring = self._docstring("\n".join(filter(None, (what, runtime.REPRO_NOTE))))
        repeats = self.work.through[0].REPEATS
        text = run_script.text(docstring, runtime.REPRO, cell, self.judge, self.artifact, sets, repeats)
        self._add(SCRIPT, text, runtime, exports=False)

    def _write_exporting(self, name: str) -> bool:
        """The script that exports and compares; False where there is none to be had."""
        if self.work.is_own:
            return False
        shown = self._shown()
        module = self.work.machinery.registry.format(shown.format) if shown else self.work.through[-1]
        if shown is None or not module.REPRO or self.work.ref.framework != TORCH:
            return False
        artifact = self.work.artifact(self.prepared, module.NAME)
        if not isinstance(artifact, Artifact):
            return False
        runtime = self.work.runtime_of(shown)
        if name == SCRIPT:
            self.folder.add_artifact(artifact.folder)
        sets = self._inputs(shown, runtime, artifact)
        model = Model.written(self.work, self.folder, self.prepared)
        if not model.complete:
            return False
        self.case_file = model.file
        run = run_script.facts_of(runtime.REPRO, shown, self.judge, artifact, sets, module.REPEATS)
        what = "Exports the model, runs what was exported, and compares both with what the model returns in PyTorch."
        parts = (module.REPRO, runtime.REPRO)
        text = export_script.comparing_text(self._docstring(what), parts, model.facts(module, artifact), run)
        self._add(name, text, runtime)
        return True

    def _write_converting(self) -> bool:
        """The script that converts and compares; False where there is none to be had."""
        module = self.work.through[0]
        runtime = self.work.runtime
        source = self.work.artifact(self.prepared, self.work.columns[-1])
        if not (module.REPRO and runtime.REPRO and isinstance(source, Artifact)):
            return False
        # The signature of the second is what the runtime's part reads.
        self.folder.add_artifact(source.folder)
        self.folder.add_artifact(self.artifact.folder)
        sets = self._inputs(self.work.cell, runtime, self.artifact)
        run = run_script.facts_of(runtime.REPRO, self.work.cell, self.judge, self.artifact, sets, module.REPEATS)
        what = "Converts the file, runs the result, and compares what it returns with what PyTorch does."
        parts = (module.REPRO, runtime.REPRO)
        text = export_script.converting_text(self._docstring(what), parts, source.signature.file, run)
        self._add(SCRIPT, text, runtime)
        return True

    # -- what they are made of -------------------------------------------------------------------------------------

    def _shown(self) -> Cell | None:
        """The cell that shows the export's fault: this one, or one that agrees and has a script."""
        first = self.work.through[-1].NAME
        cells = [self.work.cell, *(o.cell for o in self.opinions if o.about is not About.CAPTURED)]
        return next((cell for cell in cells if cell.format == first and self.work.runtime_of(cell).REPRO), None)

    def _inputs(self, cell: Cell, runtime: Runtime, artifact: Artifact) -> dict[str, Any]:
        through = self.work.through_of(cell)
        return run_script.write_inputs(self.folder, cell, self.judge, artifact, through, runtime)

    def _add(self, name: str, text: str, runtime: Runtime, exports: bool = True) -> None:
        self.folder.add_text(name, text)
        self.exports = self.exports or exports
        for extra in script.extra_files(runtime.REPRO):
            self.folder.add(extra)
        if name == SCRIPT:
            self.note = runtime.REPRO_NOTE if self.work.cell.runtime == runtime.NAME else ""

    def _docstring(self, what: str) -> str:
        cell = self.work.cell
        return docstring_of(f"{cell.case} in {cell.format}, by {cell.runtime}", what)
