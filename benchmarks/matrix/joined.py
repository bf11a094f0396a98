"""The logs of a long run as one, judged by the `expected.toml` of today."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_modelconform.expected import file as expected_file
from pytest_modelconform.report.log import Log
from pytest_modelconform.report.merge import merge
from pytest_modelconform.report.plural import counted
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict

from .columns import grouped
from .kept import Kept, Part


def joined(kept: Kept, cells: Sequence[Cell], root: Path) -> Log:
    """What cells came to, each once; what did not run is `not-run`, and named in `missing`."""
    found = {cell: known for cell, known in kept.cells().items() if cell in set(cells)}
    judge = Judge(root)
    by_part: dict[Path, tuple[Part, list[tuple[Cell, Outcome]]]] = {}
    for cell, (outcome, part) in found.items():
        by_part.setdefault(part.path, (part, []))[1].append((cell, judge(cell, outcome)))
    logs = [(path.name, Log(part.log.environment, of, complete=True)) for path, (part, of) in sorted(by_part.items())]
    whole = merge(logs) if logs else Log({})
    lacking = [cell for cell in cells if cell not in found]
    not_run = Outcome(Verdict.NOT_RUN, None, "not run: .ci/matrix has not come to it yet")
    missing = [f"{counted(len(of), 'cell')} of the columns {group.name}" for group, of in grouped(lacking)]
    environment = {**whole.environment, **({"missing": missing} if missing else {})}
    return Log(environment, [*whole.cells, *((cell, not_run) for cell in lacking)], not missing)


class Judge:
    """What the expected.toml files of today say of outcomes that others may have judged before."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: dict[Path, expected_file.Expectations] = {}

    def __call__(self, cell: Cell, outcome: Outcome) -> Outcome:
        """The outcome as it is judged now."""
        path = self.root / cell.file
        source = expected_file.find_file(path, self.root)
        outcome = expected_file.unjudged(outcome)
        if source is None:
            return outcome
        if source not in self._files:
            self._files[source] = expected_file.load(source)
        known = self._files[source]
        return expected_file.judge(outcome, known.find(known.relative(path, cell.name)), source)
