"""Small case files on the cell's own machinery: what they are written from, and what they come to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..cells import typed
from ..cells.machinery import Machinery
from ..cells.stages import Budget
from ..cells.worker import WorkerProblem
from ..terms.cell import CaseRef, Cell
from ..terms.outcome import Outcome, Stage, Verdict
from .sketch import OTHER, Choice, Kept, Sketch
from .trial import OutOfTime
from .written import FILE, NAME, TENSORS, Facts, written


@dataclass
class Bench:
    """Tries case files in the format and runtime of a cell.

    folder: for what is tried, each in a folder of its own. left: the seconds that there still are. tries: how many
    files were run.
    """

    machinery: Machinery
    cell: Cell
    folder: Path
    left: Callable[[], float]
    tries: int = 0

    def sketched(self, file: Path, key: str, way: str) -> Sketch:
        """What the case `part` of a file is written from.

        key: the input set, "" for the exporters'. way: one of `WAYS`.
        """
        fields = {"file": str(file), "relative": file.name, "case": NAME, "dtype": self.cell.dtype}
        fields |= {"set": key, "folder": str(self.folder), "way": way, "column": self.cell.format}
        sketch: Sketch = self._asked("sketch", Sketch, **fields)
        return sketch

    def write(self, sketch: Sketch, choice: Choice, facts: Facts, folder: Path) -> str:
        """Write a choice's file, and the tensors that it reads, to a folder. Raises TooLong, WorkerProblem."""
        texts = {}
        if names := choice.real():
            values = {value.name: value for value in sketch.values}
            values |= {f"{OTHER}{value.name}": value for value in sketch.others}
            wanted = {key: value for key, value in values.items() if value.name in names}
            shapes = {key: choice.shape(sketch, value) for key, value in wanted.items()}
            bounds = {key: choice.below(sketch, value.name) for key, value in wanted.items()}
            below = {key: bound for key, bound in bounds.items() if bound is not None}
            target = folder / TENSORS
            kept = self._asked("keep", Kept, folder=str(self.folder), target=str(target), shapes=shapes, below=below)
            texts = dict(kept.texts)
        text = written(sketch, choice, facts, texts)
        if TENSORS not in text:
            (folder / TENSORS).unlink(missing_ok=True)
        (folder / FILE).write_text(text, encoding="utf-8")
        return text

    def tried(self, file: Path, fresh: bool = False) -> Outcome:
        """What the file's case comes to. fresh: in a process that has run nothing before. Raises OutOfTime."""
        if self.left() <= 0:
            raise OutOfTime
        if fresh:
            self._discard_used()
        self.tries += 1
        declaration = self.machinery.declare(file)
        if declaration.problem is not None:
            return declaration.problem
        case = next(case for case in declaration.cases if case.name == NAME)
        if case.fault:
            return Outcome(Verdict.ERROR, Stage.COLLECT, case.fault)
        relative = self.machinery.relative(file)
        ref = CaseRef(file, relative, NAME, self.cell.dtype, framework=case.framework)
        cell = replace(self.cell, file=relative, case=NAME)
        return self.machinery.pipeline.run(ref, cell, lambda outcome: True)

    def _discard_used(self) -> None:
        """End the runtime's worker if it has run anything; what can't be started is for the cell to say."""
        pool = self.machinery.pool
        with contextlib.suppress(Exception):
            worker = pool.runtime(self.cell.runtime, self.cell.device)
            if worker.used:
                pool.discard(worker)

    def _asked(self, op: str, kind: Any, **fields: Any) -> Any:
        pool = self.machinery.pool
        worker = pool.host()
        worker.used = True
        budget = Budget(max(self.left(), 1.0), pool)
        try:
            return typed.answer(worker, op, budget.ask(worker, op, **fields), kind)
        except WorkerProblem:
            pool.discard(worker)
            raise
