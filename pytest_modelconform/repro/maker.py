"""From a cell to its folder: whom the failure concerns, which script shows it, and what goes beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cells.stages import Artifact, StageFailure
from ..formats import base as format_base
from ..formats.base import Format
from ..references.prepared import Prepared
from ..runtimes.base import Runtime
from ..terms import operators
from ..terms.case import INT8, TORCH
from ..terms.outcome import Outcome, Stage, Verdict
from ..terms.wording import Refused
from . import concern, export_script, projects
from .concern import Concern, Opinion, Party
from .folder import Folder
from .opinions import Asker
from .projects import Project
from .readme import Issue, Quoted, argument, shape, whom
from .scripts import SCRIPT, Model, Scripts, docstring_of
from .seen import known, shortened, summary, titled, versions
from .work import Work

_NUMPY = ("numpy", "ml_dtypes")
_EXPECTED = (
    "In `expected-*.safetensors`: what the model returns in PyTorch, computed in float64 where it is made of "
    "floating-point numbers, and for each element how far from it an implementation that is as exact as PyTorch may be "
    "(`… allowed`)."
)


@dataclass(frozen=True)
class Logged:
    """What a log says of the cell. named: whether the user named that log."""

    outcome: Outcome | None = None
    file: Path | None = None
    named: bool = False


class Maker:
    """Writes the folder of a cell.

    status, problems, written: what it came to. said: whom the failure concerns, in Markdown.
    """

    def __init__(self, work: Work, logged: Logged, progress: Callable[[str], None]) -> None:
        self.work, self.logged = work, logged
        self.asker = Asker(work.machinery, work.case, work.ref, work.cell, progress)
        self.problems = work.problems
        self.status = 0
        self.written: Sequence[str] = ()
        self.said = ""

    def make(self, path: Path) -> None:
        """Export, ask, and write. Raises Refused where an exporter isn't there, or the case is not fit."""
        for module in self.work.through:
            if missing := format_base.unavailable(module):
                raise Refused(f"format {module.NAME} {missing}")
        try:
            prepared = self.work.machinery.pipeline.exports.prepare(self.work.ref, self.work.budget())
        except StageFailure as failure:
            self.status = 1
            self.problems.append(
                f"{failure.verdict.value} at stage {failure.stage.value}: {failure}\n"
                f"This concerns the case itself, no exporter and no runtime: mend {self.work.ref.relative} first."
            )
            return
        self.problems += filter(None, [self._own_operators()])
        artifact = self.work.artifact(prepared, self.work.cell.format)
        if isinstance(artifact, Artifact):
            self._write_run(path, prepared, artifact)
            return
        self.status = 1
        said = f"{artifact.verdict.value} at stage {artifact.stage.value}: {artifact}"
        self.problems.append(f"the export to the format {self.work.cell.format} fails: {shortened(said)}")
        self._write_export(Folder.opened(path), prepared, said)

    # -- a failure of what was exported ------------------------------------------------------------------------------

    def _write_run(self, path: Path, prepared: Prepared, artifact: Artifact) -> None:
        own, opinions = self._asked()
        if self.work.is_own:
            self.problems.append(
                f"the case itself says how {self.work.columns[-1]} is made: look there first, before you report an "
                "exporter"
            )
        found = concern.of(own, self.work.cell, self.asker.way, opinions, self.asker.refusal(own))
        judge = self.work.judge(prepared)
        folder = Folder.opened(path)
        scripts = Scripts(self.work, folder, prepared, judge, artifact, found, opinions)
        scripts.write()
        runtime = self.work.runtime
        concerned = self._projects(found)
        issue = Issue(
            title=titled(self.work.cell, own, found, concerned, known(runtime), self.work.named),
            cell=self.work.cell,
            concern=found,
            projects=concerned,
            capture=self.asker.way.capture,
            expected=_EXPECTED,
            seen=self._seen(own),
            outcome=own,
            prepared=judge,
            packages=self._packages([*self.work.through, runtime]),
            install=self._packages([*(self.work.through if scripts.exports else ()), runtime], own=scripts.exports),
            files=list(folder.written),
            script=f"python {SCRIPT}" if SCRIPT in folder.written else "",
            note=" ".join(filter(None, (scripts.note, self._own_operators()))),
            also=scripts.also,
            quoted=self._quoted(prepared, scripts.case_file, not artifact.signature.static),
        )
        self._close(folder, issue)

    def _asked(self) -> tuple[Outcome, list[Opinion]]:
        """What the cell comes to now, or came to in a log where it doesn't fail now; and what others say."""
        try:
            now = self.asker.own()
            logged = self.logged.outcome
            own = now or Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, "its environment isn't installed")
            if not own.doubtful and logged is not None and logged.doubtful:
                self.problems.append(
                    f"it fails in {self.logged.file}, and does not here and now ({own.verdict.value}): "
                    "the report is about the logged run"
                )
                own = logged
            return own, self.asker.opinions(own)
        finally:
            self.asker.close()

    def _seen(self, own: Outcome) -> str:
        if self.logged.outcome is not None and (self.logged.named or own is self.logged.outcome):
            return summary(self.logged.outcome)
        return summary(own)

    def _projects(self, found: Concern) -> list[Project]:
        """Whom it concerns."""
        exporter, converter = (projects.exporter(self.work.through[at]) for at in (-1, 0))
        runtime = projects.runtime(self.work.runtime)
        if self.work.ref.framework != TORCH and (by := self.asker.way.capture):
            exporter = Project(by, projects.EXPORTER, by)
        return {
            Party.RUNTIME: [runtime],
            Party.EXPORTER: [exporter],
            Party.CONVERTER: [converter],
            Party.CAPTURE: [projects.capture(self.asker.way.capture)],
            Party.EITHER: [converter if len(self.work.through) > 1 else exporter, runtime],
        }.get(found.party, [])

    # -- an exporter or converter that fails -------------------------------------------------------------------------

    def _write_export(self, folder: Folder, prepared: Prepared, said: str) -> None:
        """The script of the first format on the way that can't be made."""
        module = self.work.through[-1]
        source: Artifact | None = None
        column = ""
        for column in reversed(self.work.columns):
            made = self.work.artifact(prepared, column)
            module = self.work.machinery.registry.format(column)
            if not isinstance(made, Artifact):
                break
            source = made
        found = concern.at_export(self.asker.way, column)
        # Of the case's own export nothing here knows the call.
        has_script = bool(module.REPRO) and not (source is None and self.work.is_own)
        project = projects.exporter(module)
        docstring = docstring_of(
            f"The export of {self.work.named} to {module.NAME} fails", "The exception is the failure."
        )
        copied = ""
        if source is not None:
            folder.add_artifact(source.folder)
            if has_script:
                text = export_script.converter_text(docstring, module.REPRO, source.signature.file)
                folder.add_text(SCRIPT, text)
        else:
            model = Model.written(self.work, folder, prepared)
            copied = model.file
            if has_script and self.work.ref.framework == TORCH and self.work.cell.dtype != INT8:
                facts = model.facts(module)
                folder.add_text(SCRIPT, export_script.text(docstring, module.REPRO, facts))
        if source is None and self.work.is_own:
            self.problems.append(
                f"there is no script, since the case itself says how {column} is made; all else is written. "
                "Add the call that you want to report to the README."
            )
        elif SCRIPT not in folder.written and self.work.cell.dtype == INT8:
            self.problems.append("there is no script that exports a model in int8, which has to be quantised first")
        elif SCRIPT not in folder.written:
            self.work.no_script(module)
        logged = self.logged.outcome
        of_log = logged is not None and logged.stage is Stage.EXPORT
        issue = Issue(
            title=f"{project}: the export of {self.work.named} to {module.NAME} fails",
            cell=self.work.cell,
            concern=found,
            projects=[project],
            capture="",
            expected="The model runs in PyTorch, so that its export should succeed.",
            seen=summary(logged) if of_log and logged is not None else said,
            outcome=None,
            prepared=prepared,
            packages=self._packages([module, *self.work.through]),
            install=self._packages([module]),
            files=list(folder.written),
            script=f"python {SCRIPT}" if SCRIPT in folder.written else "",
            quoted=self._quoted(prepared, copied),
        )
        self._close(folder, issue)

    # -- both --------------------------------------------------------------------------------------------------------

    def _own_operators(self) -> str:
        """A sentence on operators of the case's own, which a script doesn't know; "" for a case without."""
        names = [name for of_kind in self.work.case.operators.values() for name in of_kind]
        if not names:
            return ""
        said = f"The case has operators of its own ({operators.said(names)}), which no script loads"
        return f"{said}: add the lines that register them."

    def _packages(self, modules: Sequence[Format | Runtime], own: bool = True) -> dict[str, str]:
        """Versions of what the modules need. own: and of what the case's model does."""
        elsewhere: dict[str, str] = {}
        requires: list[str] = []
        for module in modules:
            elsewhere |= module.ENVIRONMENT.versions() if module.ENVIRONMENT else {}
            requires += module.REQUIRES
        if own:
            requires += [*(["torch"] if self.work.ref.framework == TORCH else []), *self.work.case.requires]
        return {**elsewhere, **versions(list(dict.fromkeys((*requires, *_NUMPY))))}

    def _quoted(self, prepared: Prepared, copied: str, dynamic: bool = False) -> list[Quoted]:
        """The model's source, and the exporter's call. copied: where the source is in the folder, "" if it is not."""
        first = prepared.content.exporter_set
        leaves = prepared.content.input_leaves
        inputs = ", ".join(f"{argument(leaf.path)}: {leaf.dtype} {shape(leaf.actual)}" for leaf in leaves)
        text = self.work.ref.file.read_text(encoding="utf-8", errors="replace")
        quoted = [Quoted(f"The model: `{self.work.ref.file.name}`", text, copied)]
        for module in reversed(self.work.through):
            is_own = module is self.work.through[-1] and self.work.is_own
            if module.REPRO and not is_own:
                text = export_script.call_text(module, self.work.cell, prepared, dynamic)
                quoted.append(Quoted(f"The export to {module.NAME}, on input set `{first}`", text, about=inputs))
        return quoted

    def _close(self, folder: Folder, issue: Issue) -> None:
        folder.add_text("README.md", issue.text())
        folder.close(self.work.cell.id)
        self.written = list(folder.written)
        self.said = whom(issue.concern, issue.projects, issue.capture)
