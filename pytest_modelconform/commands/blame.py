"""`modelconform blame`: the operator that a cell fails at, and a case file and a folder that show it."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..blame.sameness import gist
from ..blame.sought import why_never, why_not
from ..report import entries, guilty
from ..report.terminal.text import wrapped
from ..repro.folder import check
from ..terms.blame import Blame, Guilty
from ..terms.cell import Cell
from ..terms.outcome import Outcome
from ..terms.program import SUBMODULES
from ..terms.wording import Refused
from . import case_argument, pytest_session

if TYPE_CHECKING:
    from ..plugin.run import Run

EXAMPLES = """\
  modelconform blame 'cases/plain/net.py::net[onnx-ort-cpu-bfloat16]'
  modelconform blame 'cases/plain/net.py::net[onnx-ort-cpu-bfloat16]' -o blame

The cell is run; then parts of its model are, as cases of their own in the same
format and runtime, until the operators are found that it fails at.

exit status: 0 found; 1 not found, or the cell does not fail; 2 no such cell, or one
that is not searched."""

# Lines of what the cell comes to.
_MOST_LINES = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform blame`."""
    parser.add_argument("cell", metavar="CELL", help="as the report names it: `cases/net.py::net[onnx-ort-cpu]`")
    what = "folder to write, new or of an earlier call: the operator as a case (part.py), and a report on that"
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help=what)
    text = "how long to look for it (default: 300)"
    parser.add_argument("--seconds", type=_seconds, default=300.0, metavar="N", help=text)
    parser.add_argument("--timeout", default="300", help="limit of the cell in seconds (default: 300)")


def _seconds(text: str) -> float:
    found = float(text)
    if not 0 < found < float("inf"):
        raise ValueError
    return found


_seconds.__name__ = "number of seconds"


def run(arguments: argparse.Namespace) -> int:
    """Look for it. 1 where it isn't found, 2 for no such cell."""
    try:
        file, name = case_argument.name_of(arguments.cell)
        if arguments.output is not None:
            check(arguments.output)
    except Refused as refused:
        return pytest_session.refusal("blame", refused)
    work = _Work(Path(file).resolve(), name, arguments.output, arguments.seconds)
    return case_argument.run("blame", file, work, timeout=arguments.timeout)


class _Work:
    """What is done in the place of running tests."""

    def __init__(self, file: Path, name: str, output: Path | None, seconds: float) -> None:
        self.file, self.name, self.output, self.seconds = file, name, output, seconds

    def __call__(self, run: Run) -> int:
        """Run the cell, and look for what it fails at; the exit status. Raises Refused."""
        from ..blame import find

        machinery = run.machinery
        case, ref, cell = case_argument.cell(run, self.file, self.name)
        if why := why_never(machinery.registry, ref, cell):
            raise Refused(f"{cell.name} {why}")
        _progress(f"running {cell.name} …")
        outcome = machinery.pipeline.run(ref, cell)
        _say(_came_to(cell, outcome))
        if not outcome.doubtful:
            _say(["It does not fail here and now: there is nothing to look for."])
            return 1
        if why := why_not(machinery.registry, ref, cell, outcome):
            raise Refused(f"{cell.name} {why}")
        try:
            found = find.find(machinery, case, ref, cell, outcome, self.seconds, _progress)
        except KeyboardInterrupt:
            _progress("ended")
            return 1
        _say(said(found))
        if found.case and self.output is not None:
            self._write(run, cell, found)
        elif self.output is not None:
            _progress(f"{self.output} was not written: there is no case file that shows it")
        elif found.case:
            reads = "# It reads tensors of the model, from a file beside it: -o writes both.\n" if found.tensors else ""
            print(f"\n{reads}{found.case}", end="")
        return 0 if found.guilty else 1

    def _write(self, run: Run, cell: Cell, found: Blame) -> None:
        from ..blame import folder

        assert self.output is not None
        try:
            written = folder.write(self.output, run.machinery, cell, found, _progress)
        except OSError as error:
            why = error.strerror or error
            raise Refused(f"{error.filename or self.output} can't be written: {why}. Name another folder") from error
        for name in written:
            print(self.output / name)


def _say(lines: Sequence[str]) -> None:
    """Print lines, in as many as the terminal takes."""
    width = shutil.get_terminal_size().columns
    print("\n".join(part for line in lines for part in wrapped(line, width)), flush=True)


def _came_to(cell: Cell, outcome: Outcome) -> list[str]:
    message = [line for line in outcome.message.splitlines() if line.strip()][:_MOST_LINES]
    return [f"{cell.id}: {entries.title(outcome)}", *(f"  {line}" for line in message)]


def said(found: Blame) -> list[str]:
    """What was found, with all that is known of each place."""
    lines = [line for one in found.guilty for line in _place(one)]
    if not found.guilty:
        lines += guilty.lines(found)
    elif found.note:
        lines.append(found.note)
    parts = "submodules" if found.way == SUBMODULES else "parts"
    return [*lines, f"{found.tries} {parts} were tried in {found.seconds:.0f} s"]


def _place(one: Guilty) -> Iterator[str]:
    yield f"{guilty.FOUND}{guilty.place(one)}"
    if one.why:
        yield f"  {one.why}"
    if one.bits is None and one.message:
        yield f"  alone: {gist(one.message)}"
    for operator in one.operators:
        yield f"  {operator.call or operator.target}"
        if operator.inputs or operator.returns:
            yield "    " + "; ".join(
                filter(None, (_joined("takes", operator.inputs), _joined("returns", operator.returns)))
            )
        if operator.file:
            yield f"    {operator.file}:{operator.line}: {operator.source.strip()}"


def _joined(word: str, of: Sequence[str]) -> str:
    return f"{word} {', '.join(of)}" if of else ""


def _progress(line: str) -> None:
    print(f"modelconform blame: {line}", file=sys.stderr, flush=True)
