"""Asks other cells about an artifact that one fails with, so that concern.py can tell whom it concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import environments
from ..cells.concurrency import failed_at_once
from ..formats.origins import origin
from ..terms.cell import CaseRef, Cell
from ..terms.outcome import Outcome, Stage, Verdict
from . import checker
from .concern import EVALUATORS, About, Opinion, Way, is_right

if TYPE_CHECKING:
    from ..cells.case_files import Declared
    from ..cells.machinery import Machinery

# Formats that hold weights only: whoever computes with them is the case's own code.
_WEIGHTS_ONLY = ("state-dict", "twin-jax", "twin-keras")
# How many other runtimes are asked about the artifact, and how many cells about another one.
_MOST_SAME, _MOST_OTHERS = 3, 2


@dataclass(frozen=True)
class Asker:
    """Runs a cell, and others beside it. progress: shows a line. left: seconds that asking may still take.

    evaluators_first: whether what defines a format is asked before others: it is slow, so only of what is small.
    """

    machinery: Machinery
    case: Declared
    ref: CaseRef
    cell: Cell
    progress: Callable[[str], None]
    left: Callable[[], float] = lambda: float("inf")
    evaluators_first: bool = False

    @property
    def way(self) -> Way:
        """How the cell's artifact comes about."""
        through = self.machinery.registry.made_through(self.cell.format, self.ref.framework, self.ref.own)
        exports, stored = (
            self.cell.format not in _WEIGHTS_ONLY,
            not self.machinery.registry.format(self.cell.format).IN_PLACE,
        )
        return Way(through, origin(through[-1], self.ref.framework), exports, stored)

    def own(self) -> Outcome | None:
        """What the cell comes to now; None where that would first install an environment."""
        if not self._is_installed():
            return None
        self.progress(f"running {self.cell.name} …")
        return self.machinery.pipeline.run(self.ref, self.cell)

    def opinions(self, own: Outcome) -> list[Opinion]:
        """What others say, as few as may tell whom it concerns; none where the cell does not fail."""
        if (
            not own.doubtful
            or failed_at_once(own)
            or own.stage in (Stage.ENVIRONMENT, Stage.EXPORT)
            or not self.way.exports
        ):
            return []
        same = self._asked(About.SAME, self._same(), _MOST_SAME, own)
        found = [*same, *self._asked(About.SOURCE, self._sources(), _MOST_OTHERS, own)]
        # What was captured alike tells less, and takes another export.
        if not any(opinion.agrees or is_right(opinion, own) for opinion in self._agreeing(found)):
            found += self._asked(About.CAPTURED, self._captured(), _MOST_OTHERS, own)
        return self._agreeing(found)

    def refusal(self, own: Outcome) -> str:
        """Why ONNX's own checker refuses the artifact of a cell that doesn't load it; "" where it doesn't."""
        if own.stage is not Stage.LOAD or own.verdict is not Verdict.ERROR or not own.artifact:
            return ""
        return checker.refusal(Path(own.artifact), min(self.left(), 60.0))

    def close(self) -> None:
        """Remove what the cells left."""
        if self.machinery.witnesses is not None:
            self.machinery.witnesses.remove()

    def _asked(self, about: About, cells: Iterator[Cell], most: int, own: Outcome) -> list[Opinion]:
        found: list[Opinion] = []
        for cell in cells:
            if len(found) == most or self.left() <= 0:
                break
            what = "the same file" if about is About.SAME else f"a file in {cell.format}"
            self.progress(f"running {what} in {cell.runtime} …")
            outcome = self.machinery.pipeline.run(self.ref, cell, lambda outcome: True)
            if outcome.stage in (Stage.ENVIRONMENT, Stage.EXPORT) or outcome.verdict is Verdict.TIMEOUT:
                continue
            found.append(Opinion(about, cell, outcome))
            if is_right(found[-1], own):
                break
        return found

    def _agreeing(self, opinions: list[Opinion]) -> list[Opinion]:
        """The opinions, each with whether its numbers are this cell's."""
        witnesses = self.machinery.witnesses
        pairs = witnesses.agreeing().get(self.cell, {}) if witnesses is not None else {}
        return [
            replace(opinion, agrees=True, specialised=pairs[opinion.cell].specialised)
            if opinion.cell in pairs
            else opinion
            for opinion in opinions
        ]

    # -- who is asked ----------------------------------------------------------------------------------------------

    def _same(self) -> Iterator[Cell]:
        """Runtimes of other families that load the artifact, one a family."""
        own = self.machinery.registry.runtime(self.cell.runtime).FAMILY
        asked = {own}
        for cell in self._cells([self.cell.format]):
            family = self.machinery.registry.runtime(cell.runtime).FAMILY
            if family not in asked:
                asked.add(family)
                yield cell

    def _sources(self) -> Iterator[Cell]:
        """A runtime of each artifact that it is converted from, and another one."""
        for name in self.way.through[1:]:
            yield from self._cells([name])

    def _captured(self) -> Iterator[Cell]:
        """Cells of artifacts that the same code captured: a fault of that is in all of them."""
        registry = self.machinery.registry

        def like(name: str) -> bool:
            if name == self.cell.format or not registry.holds(name, self.ref.framework, self.ref.own):
                return False
            through = registry.made_through(name, self.ref.framework, self.ref.own)
            return len(through) == 1 and origin(through[-1], self.ref.framework) == self.way.capture

        if self.way.capture:
            own = registry.runtime(self.cell.runtime).FAMILY
            cells = self._cells([name for name in registry.formats if like(name)])
            # The same kernels may well make the same mistake with another file.
            yield from sorted(cells, key=lambda cell: own == registry.runtime(cell.runtime).FAMILY)

    def _cells(self, formats: list[str]) -> Iterator[Cell]:
        """Cells beside this one that run without an installation or a build: the main runtimes first."""
        registry = self.machinery.registry
        cells = [
            cell
            for cell in self.machinery.all_cells(self.ref.relative, self.case)
            if cell.format in formats
            and not cell.is_check
            and (cell.dtype, cell.task) == (self.cell.dtype, self.cell.task)
            and (cell.device, cell.precision) == ("cpu", "full")
        ]

        def rank(cell: Cell) -> tuple[bool, bool]:
            later = self.evaluators_first and cell.runtime not in EVALUATORS
            return later, not registry.runtime(cell.runtime).MAIN

        for cell in sorted(cells, key=rank):
            runtime = registry.runtime(cell.runtime)
            if runtime.ENGINE or runtime.ENVIRONMENT or self._needs_environment(cell.format):
                continue
            if self.machinery.pipeline.unavailable(cell, self.ref.framework, self.ref.own) is None:
                yield cell

    def _needs_environment(self, name: str) -> bool:
        registry = self.machinery.registry
        through = registry.made_through(name, self.ref.framework, self.ref.own)
        return any(registry.format(each).ENVIRONMENT for each in through)

    def _is_installed(self) -> bool:
        """Whether the environments that the cell needs are there."""
        registry = self.machinery.registry
        of_formats = [registry.format(name).ENVIRONMENT for name in self.way.through]
        needed = filter(None, [registry.runtime(self.cell.runtime).ENVIRONMENT, *of_formats])
        cache = self.machinery.settings.cache
        return all(
            environments.unavailable(each) is None and environments.is_complete(environments.path_of(each, cache))
            for each in needed
        )
