"""From a part of a model that fails to the file that shows it: small, and written as by hand."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cells.worker import WorkerProblem
from ..terms.outcome import Outcome
from .bench import Bench
from .sketch import LAYER, PROGRAM, VARYING, Choice, Sketch
from .smallest import smallest
from .trial import OutOfTime
from .written import FILE, TENSORS, Facts, TooLong

# What a file says, of what its case came to.
Said = Callable[[Outcome], Sequence[str]]


@dataclass(frozen=True)
class Example:
    """A case file that fails as a part does. folder: where it is, with the tensors that it reads, if any.

    problem: why there is none, "" where there is one.
    """

    text: str = ""
    folder: Path | None = None
    outcome: Outcome | None = None
    problem: str = ""

    @property
    def tensors(self) -> Path | None:
        """The file of tensors beside it; None where it needs none."""
        file = self.folder / TENSORS if self.folder else None
        return file if file is not None and file.is_file() else None


@dataclass(frozen=True)
class Wanted:
    """What an example is to show.

    file: a case file with the case `part` that fails. key: the input set that it fails on, "" for the exporters'. same:
    whether an outcome is that failure. said: what the file says. tolerance: as in `Facts`. is_submodule:
    whether it is a submodule of a model, which an exporter may read otherwise than its program.
    """

    file: Path
    key: str
    same: Callable[[Outcome], bool]
    said: Said
    tolerance: str = ""
    is_submodule: bool = False


def example(bench: Bench, wanted: Wanted) -> Example:
    """The smallest file that shows a failure."""
    found = Example(problem="")
    # By its program, a submodule may be right.
    for way in (LAYER, PROGRAM) if wanted.is_submodule else (PROGRAM, VARYING):
        try:
            sketch = bench.sketched(wanted.file, wanted.key, way)
        except WorkerProblem as problem:
            return Example(problem=f"its source can't be had: {problem}".partition("\n")[0])
        if sketch.problem and way == VARYING:
            return found
        if sketch.problem:
            found = Example(problem=f"it has {sketch.problem}, which can't be written out")
            continue
        found = _Maker(bench, wanted, sketch).made()
        if not found.problem:
            return found
    return found


class _Maker:
    """Looks for the example of a sketch."""

    def __init__(self, bench: Bench, wanted: Wanted, sketch: Sketch) -> None:
        self.bench, self.wanted, self.sketch = bench, wanted, sketch
        self._found: dict[str, Outcome] = {}
        self._long = 0

    def made(self) -> Example:
        """The example, or why there is none."""
        best = smallest(self.sketch, self._is_red)
        if best is None:
            lines = "it takes more than 40 lines"
            return Example(problem=lines if self._long else "written out, it doesn't fail in the same way")
        outcome = self._outcome(best)
        folder = self._folder()
        text = self.bench.write(self.sketch, best, self._facts(self.wanted.said(outcome)), folder)
        try:
            outcome = self.bench.tried(folder / FILE, fresh=True)
        except OutOfTime:
            return Example(text, folder, outcome)
        if not self.wanted.same(outcome):
            return Example(problem="written out, it fails only in a process that has run others before")
        return Example(text, folder, outcome)

    def _is_red(self, choice: Choice) -> bool:
        try:
            return self.wanted.same(self._outcome(choice))
        except TooLong:
            self._long += 1
            return False
        except WorkerProblem:
            return False

    def _outcome(self, choice: Choice) -> Outcome:
        """What a choice comes to; the same text is run once."""
        folder = self._folder()
        text = self.bench.write(self.sketch, choice, self._facts(["A part."]), folder)
        if text not in self._found:
            self._found[text] = self.bench.tried(folder / FILE)
        return self._found[text]

    def _facts(self, said: Sequence[str]) -> Facts:
        cell, wanted = self.bench.cell, self.wanted
        export = (cell.format, self.sketch.export) if self.sketch.export else ("", "")
        return Facts(said=said, dtype=cell.dtype, export=export, tolerance=wanted.tolerance)

    def _folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="part-", dir=self.bench.folder))
