"""`modelconform repro`: a cell as a folder for an upstream bug report, with a script that shows the failure."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..report import log as log_module
from ..repro.folder import check
from ..repro.maker import Logged, Maker
from ..repro.seen import last_outcome
from ..repro.work import Work
from ..terms.cell import INFERENCE, SEQUENCE, Cell
from ..terms.wording import Refused
from . import case_argument, pytest_session

if TYPE_CHECKING:
    from ..plugin.run import Run

EXAMPLES = """\
  modelconform repro 'cases/plain/net.py::net[onnx-ort-cpu-bfloat16]' -o report
  cd report && python repro.py

The cell is run, and other runtimes run the same artifact: that tells whether the
exporter or the runtime is at fault, and README.md in the folder says so.

exit status: 0 written; 1 the export fails, or the case itself does; 2 no such cell, or
a folder that can't be used."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform repro`."""
    parser.add_argument("cell", metavar="CELL", help="as the report names it: `cases/net.py::net[onnx-ort-cpu]`")
    what = "folder to write, new or of an earlier repro"
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help=what)
    text = "log of the run to report on, instead of what the cell comes to now"
    parser.add_argument("--log", type=Path, metavar="FILE", help=text)
    parser.add_argument("--timeout", default="300", help="limit in seconds (default: 300)")


def run(arguments: argparse.Namespace) -> int:
    """Write the folder. 1 where the export failed (the script is the exporter's then), 2 for no such cell."""
    try:
        file, name = case_argument.name_of(arguments.cell)
        work = _Work(file, name, arguments.output, arguments.log)
        check(arguments.output)
        if arguments.log is not None:
            work.read_log()
    except Refused as refused:
        return pytest_session.refusal("repro", refused)
    return case_argument.run("repro", file, work, timeout=arguments.timeout, caches=True)


class _Work:
    """What is done in the place of running tests."""

    def __init__(self, file: str, name: str, output: Path, log: Path | None) -> None:
        self.file = Path(file).resolve()
        self.name = name
        self.output = output
        self.log = log

    def read_log(self) -> None:
        """See whether the log that was named is one. Raises Refused."""
        assert self.log is not None
        try:
            log_module.read(self.log)
        except log_module.LogError as error:
            raise Refused(str(error)) from error
        except OSError as error:
            raise Refused(f"{self.log}: {error.strerror or error}") from error

    def __call__(self, run: Run) -> int:
        """Find the cell and write its folder; the exit status. Raises Refused."""
        case, ref, cell = case_argument.cell(run, self.file, self.name)
        if cell.is_check:
            raise Refused(f"{self.name} checks the case itself. There is no upstream project to report it to")
        if cell.task == SEQUENCE:
            single = replace(cell, task=INFERENCE).name
            raise Refused(f"{self.name} runs several steps. Reports are written for single calls: name {single}")
        if cell.task != INFERENCE:
            raise Refused(f"{self.name} trains the model. Reports are written only for cells that compare outputs")
        maker = Maker(Work(run.machinery, case, ref, cell), self.logged(run, cell), _progress)
        try:
            maker.make(self.output)
        except OSError as error:
            why = error.strerror or error
            raise Refused(f"{error.filename or self.output} can't be written: {why}. Name another folder") from error
        for line in maker.problems:
            print(f"modelconform repro: {line}", file=sys.stderr)
        for written in maker.written:
            print(self.output / written)
        if maker.said:
            sys.stdout.flush()
            print(f"\n{maker.said.replace('**', '')}", file=sys.stderr)
        return maker.status

    def logged(self, run: Run, cell: Cell) -> Logged:
        """What the log that was named, or else the last one that has the cell, says of it."""
        if self.log is not None:
            found = last_outcome(cell, [self.log])
            if found is None:
                print(f"modelconform repro: {self.log} holds no {cell.id}", file=sys.stderr)
            return Logged(found[0] if found else None, self.log, named=True)
        folders = [run.settings.cache / "logs"]
        if (cache := getattr(run.config, "cache", None)) is not None:
            folders.append(cache.mkdir("modelconform"))
        found = last_outcome(cell, [path for folder in folders for path in folder.glob("*.jsonl")])
        return Logged(*found) if found else Logged()


def _progress(line: str) -> None:
    print(f"modelconform repro: {line}", file=sys.stderr, flush=True)
