"""What all who write a report work with: the cell, what makes its artifacts, and what there is to tell the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..cells.stages import Artifact, Budget, StageFailure
from ..formats.base import Format
from ..references.prepared import Prepared
from ..runtimes.base import Runtime
from ..terms.cell import EAGER, CaseRef, Cell
from ..terms.outcome import Stage
from ..terms.wording import Refused

if TYPE_CHECKING:
    from ..cells.case_files import Declared
    from ..cells.machinery import Machinery


@dataclass(frozen=True)
class Work:
    """A cell, and its case. problems: sentences for the user. subject: what titles call it, "" for the case's name."""

    machinery: Machinery
    case: Declared
    ref: CaseRef
    cell: Cell
    problems: list[str] = field(default_factory=list)
    subject: str = ""

    @property
    def named(self) -> str:
        """What titles call what fails."""
        return self.subject or self.cell.case

    @property
    def columns(self) -> list[str]:
        """The cell's format, with its variant, and those that it is converted from, the first one last."""
        return self.machinery.registry.made_through(self.cell.format, self.ref.framework, self.ref.own)

    @property
    def is_own(self) -> bool:
        """Whether the case or the ini file says how the first of them is made: then no script of ours calls that."""
        first = self.columns[-1]
        return first in self.case.exports or first in self.machinery.settings.exports

    @property
    def through(self) -> list[Format]:
        """The cell's format and those that it is converted from, the first one last."""
        return self.through_of(self.cell)

    def through_of(self, cell: Cell) -> list[Format]:
        """The same for another cell of the case."""
        registry = self.machinery.registry
        return [registry.format(name) for name in registry.made_through(cell.format, self.ref.framework, self.ref.own)]

    @property
    def runtime(self) -> Runtime:
        """The cell's."""
        return self.runtime_of(self.cell)

    def runtime_of(self, cell: Cell) -> Runtime:
        """Of another cell."""
        return self.machinery.registry.runtime(cell.runtime)

    def budget(self) -> Budget:
        """The time for a step."""
        return Budget(self.machinery.settings.timeout, self.machinery.pool)

    def artifact(self, prepared: Prepared, name: str) -> Artifact | StageFailure:
        """The case in a format, or why it can't be exported. Raises Refused where something else is wrong."""
        # No runtime: none is to be started.
        cell = replace(self.cell, format=name, runtime=EAGER)
        exports = self.machinery.pipeline.exports
        try:
            return exports.artifact(self.ref, prepared, cell, self.budget(), lambda outcome: False)
        except StageFailure as failure:
            if failure.stage is not Stage.EXPORT:
                raise Refused(f"{failure.verdict.value} at stage {failure.stage.value}: {failure}") from failure
            return failure

    def judge(self, prepared: Prepared) -> Prepared:
        """What outputs are compared with: the case's references, or those of fast modes. Raises Refused."""
        if self.cell.precision == self.ref.precision:
            return prepared
        try:
            ref = replace(self.ref, precision=self.cell.precision)
            return self.machinery.pipeline.exports.prepare(ref, self.budget())
        except StageFailure as failure:
            raise Refused(f"{failure.verdict.value} at stage {failure.stage.value}: {failure}") from failure

    def no_script(self, module: Format | Runtime) -> None:
        """Say that there is none for a format or runtime, and for which there is one."""
        registry = self.machinery.registry
        if isinstance(module, Runtime):
            kind, names = "runtime", [name for name in registry.runtimes if registry.runtime(name).REPRO]
        else:
            kind, names = "format", [name for name in registry.formats if registry.format(name).REPRO]
        self.problems.append(f"there is no script for {kind} {module.NAME}; all else is written. {_known(kind, names)}")


def _known(kind: str, names: Sequence[str]) -> str:
    return f"Scripts exist for the {kind}s {', '.join(names)}"
