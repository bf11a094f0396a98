"""Logs of as many cells as one likes: the records of a real run again and again, under new names."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_modelconform.report import log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome
from pytest_modelconform.terms.records import from_record, plain

# What may differ by so much from copy to copy: the times of a machine do.
_JITTER = 0.3


@dataclass(frozen=True)
class Source:
    """A real log: its environment, and the lines of its cells, which are small beside what they become when read."""

    environment: dict[str, Any]
    lines: Sequence[str]

    @classmethod
    def read(cls, path: Path) -> Source:
        with path.open(encoding="utf-8") as file:
            environment: dict[str, Any] = json.loads(next(file))["environment"]
            # Whole records only: notes and footers are the log's own.
            found = [line for line in file if line.startswith('{"kind": "cell"')]
        return cls(environment, found)

    def cells(self, count: int, wide: int = 1) -> Iterator[tuple[Cell, Outcome]]:
        """So many cells. wide: how many copies stand beside each other as other formats, rather than below."""
        made = 0
        for copy in itertools.count():
            below, beside = divmod(copy, wide)
            for line in self.lines:
                if made == count:
                    return
                cell, outcome = from_record(plain(json.loads(line)))
                # A row has one model check, and what stands for a file that can't be collected.
                if not (beside and cell.is_check):
                    made += 1
                    yield _renamed(cell, below, beside), _varied(outcome, cell, copy)

    def log(self, count: int, wide: int = 1) -> log.Log:
        return log.Log(self.environment, [*self.cells(count, wide)], complete=True)

    def write(self, path: Path, count: int, wide: int = 1) -> None:
        """The same as a file, cell by cell, as a run does."""
        with log.LogWriter(path, self.environment) as writer:
            for cell, outcome in self.cells(count, wide):
                writer.cell(cell, outcome)


def _renamed(cell: Cell, below: int, beside: int) -> Cell:
    file = PurePosixPath(cell.file)
    if below:
        name = file.stem
        cell = replace(cell, file=str(file.with_name(f"{name}_{below}.py")), case=f"{cell.case}_{below}")
    if beside:
        cell = replace(cell, format=f"{cell.format}@copy{beside}")
    return cell


def _varied(outcome: Outcome, cell: Cell, copy: int) -> Outcome:
    """What another case's record would differ in, so that no packer finds the copies: numbers. Verdicts stay."""
    drawn = random.Random(f"{cell.id} {copy}")

    def near(value: Any) -> Any:
        return value * (1.0 + drawn.uniform(-_JITTER, _JITTER)) if type(value) is float else value

    def within(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: within(one) if key != "histogram" else one for key, one in value.items()}
        return near(value)

    return replace(
        outcome,
        bits=near(outcome.bits),
        loss=near(outcome.loss),
        worst=near(outcome.worst),
        max_abs=near(outcome.max_abs),
        inputs=within(outcome.inputs),
        seconds=within(outcome.seconds),
    )
