"""The logs of a long run as one, judged by the `expected.toml` of today."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_modelconform.expected import file as expected_file
from pytest_modelconform.report import causes, html, log, markdown, pairs
from pytest_modelconform.report.log import Log
from pytest_modelconform.report.merge import merge
from pytest_modelconform.report.plural import counted
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict

from .columns import grouped
from .kept import DIGESTS, Kept, Part

_TITLE = "All formats and runtimes"
_MARKDOWN: Mapping[str, Callable[[Log], str]] = {
    "matrix.md": lambda whole: markdown.render(whole, _TITLE),
    "pairs.md": pairs.render,
    "causes.md": causes.render,
}
RECORDS = "matrix.jsonl.xz"
REPORTS = (*_MARKDOWN, "matrix.html")
# Of which input sets the page has all.
_TOLD = ("mismatch", "imprecise")
_MOST_LINES, _MOST_LETTERS = 12, 400


def joined(kept: Kept, cells: Sequence[Cell], root: Path) -> Log:
    """What cells came to, each once; what did not run is `not-run`, and named in `missing`."""
    wanted = set(cells)
    found = {cell: known for cell, known in kept.cells().items() if cell in wanted}
    judge = Judge(root)
    by_part: dict[Path, tuple[Part, list[tuple[Cell, Outcome]]]] = {}
    for cell, (outcome, part) in found.items():
        by_part.setdefault(part.path, (part, []))[1].append((cell, judge(cell, outcome)))
    logs = [(path.name, Log(_of_its_own(part), of, complete=True)) for path, (part, of) in sorted(by_part.items())]
    whole = merge(logs) if logs else Log({})
    lacking = [cell for cell in cells if cell not in found]
    not_run = Outcome(Verdict.NOT_RUN, None, "not run: .ci/matrix has not come to it yet")
    missing = [f"{counted(len(of), 'cell')} of the columns {group.name}" for group, of in grouped(lacking)]
    # For who goes on from this log.
    digests = {file: kept.digest(file) for file in sorted({cell.file for cell in found})}
    environment = {**whole.environment, DIGESTS: digests, **({"missing": missing} if missing else {})}
    return Log(environment, [*whole.cells, *((cell, not_run) for cell in lacking)], not missing)


def _of_its_own(part: Part) -> Mapping[str, Any]:
    """A log's environment, without what is said of a joined log as a whole."""
    return {key: value for key, value in part.log.environment.items() if key not in ("missing", "merged", DIGESTS)}


def write(whole: Log, folder: Path, names: Sequence[str] = REPORTS) -> None:
    """Reports of a joined log; the page without what nobody looks up of ten thousand cells."""
    for name in names:
        if name == "matrix.html":
            html.write(brief(whole), folder / name, title=_TITLE)
        elif name == RECORDS:
            log.write(_ran(brief(whole)), folder / name)
        else:
            (folder / name).write_text(_MARKDOWN[name](whole), encoding="utf-8")


def brief(whole: Log) -> Log:
    """The log with less of each cell: no paths of one machine; of input sets that pass their numbers, no outputs."""
    environment = dict(whole.environment)
    if "options" in environment:
        # The command line is that of one session among many.
        environment["options"] = {key: value for key, value in environment["options"].items() if key != "arguments"}
    return Log(environment, [(cell, _brief(outcome)) for cell, outcome in whole.cells], whole.complete)


def _ran(whole: Log) -> Log:
    """Without the cells that have not run, which whoever goes on with it collects anew."""
    return replace(whole, cells=[(cell, of) for cell, of in whole.cells if of.verdict is not Verdict.NOT_RUN])


def _brief(outcome: Outcome) -> Outcome:
    inputs = {
        name: entry if entry.get("verdict") in _TOLD else _numbers(entry) for name, entry in outcome.inputs.items()
    }
    lines = outcome.message.splitlines()[:_MOST_LINES]
    message = "\n".join(line[:_MOST_LETTERS] for line in lines)
    return replace(outcome, inputs=inputs, message=message, artifact=None)


def _numbers(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in ("outputs", "shapes", "compiled")}


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
