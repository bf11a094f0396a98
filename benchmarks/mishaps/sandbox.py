"""One run in a project, a cache and a temporary folder of its own, and what has to hold afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pytest_modelconform.report import log
from pytest_modelconform.report.log import Log, LogError, NothingYet
from pytest_modelconform.terms.cell import COLLECT
from pytest_modelconform.terms.outcome import Verdict

from . import processes, project
from .project import Flavour

# Seconds that a run, and the end of what it has started, may take on a machine that is busy.
RUN, END = 900.0, 40.0
# What a mishap may make of a cell. No other verdict is told of a process or a disk.
OF_MISHAPS = {Verdict.PASS, Verdict.CRASH, Verdict.ERROR, Verdict.TIMEOUT, Verdict.NOT_RUN}


class Sandbox:
    """A folder for one mishap. base: a cache with all programs, of which it gets links. mark: of its processes."""

    def __init__(self, base: Path, flavour: Flavour, mark: str, bare: bool = False) -> None:
        self.flavour = flavour
        self.mark = mark
        # Short, as a user's would be: names of sockets have a limit.
        self.root = Path(tempfile.mkdtemp(prefix="m-", dir=base.parent))
        self.project, self.cache, self.temporary = (self.root / name for name in ("p", "c", "t"))
        self.temporary.mkdir()
        project.write(self.project, flavour)
        if bare:
            self.cache.mkdir(mode=0o700)
        else:
            self._link(base)

    def _link(self, base: Path) -> None:
        subprocess.run(["cp", "-al", str(base), str(self.cache)], check=True)
        for name in (*self.flavour.fresh, "sessions", "logs", "locks"):
            shutil.rmtree(self.cache / name, ignore_errors=True)

    def remove(self) -> None:
        """Remove all of it, whatever runs there still."""
        for process in processes.marked(self.mark):
            process.send(signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)

    def command(self, name: str, count: int, more: Sequence[str] = (), address: str = "") -> list[str]:
        """That of a run whose log has a name. address: of the cluster that it runs on, "" for none."""
        options = [f"--modelconform-cache={self.cache}", f"--modelconform-log={self.log(name)}", "--tb=short", *more]
        quiet = ["-p", "no:cacheprovider", "-p", "no:anyio", "--modelconform-blame=off", "--modelconform-threads=0"]
        start = [sys.executable, "-m", "pytest", "--modelconform", "-n", str(count)]
        if address:
            start = [sys.executable, "-m", "pytest_modelconform", "cluster", "--address", address]
        return [*start, *self.flavour.options, *quiet, *options]

    def log(self, name: str) -> Path:
        """The log of a run by its name."""
        return self.root / f"{name}.jsonl"

    def output(self, name: str) -> str:
        """What a run has printed."""
        return (self.root / f"{name}.out").read_text(errors="replace")

    @contextlib.contextmanager
    def running(
        self,
        name: str,
        count: int = 0,
        more: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        address: str = "",
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A run, which has ended, or is ended, when the block has."""
        variables = {**os.environ, processes.MARK: self.mark, "TMPDIR": str(self.temporary), **(env or {})}
        for word in ("PYTEST_ADDOPTS", "MODELCONFORM_CACHE"):
            variables.pop(word, None)
        with (self.root / f"{name}.out").open("wb") as output:
            process = subprocess.Popen(
                self.command(name, count, more, address),
                cwd=self.project,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield process
            process.wait(RUN)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    # -- what has to hold --------------------------------------------------------------------------------------------

    def running_still(self) -> list[str]:
        """Processes that are there though nothing runs."""
        return [f"process left: {p.role} {p.words[-90:]}" for p in processes.wait_for_end(self.mark, END)]

    def left(self) -> list[str]:
        """The same, and temporary folders."""
        found = self.running_still()
        until = time.monotonic() + END
        while (names := self._temporary()) and time.monotonic() < until:
            time.sleep(0.2)
        return found + [f"temporary folder left: {name}" for name in names]

    def _temporary(self) -> list[str]:
        # pytest has one of its own, whose last three stay.
        return sorted(p.name for p in self.temporary.iterdir() if not p.name.startswith("pytest-of-"))

    def read(self, name: str) -> Log | None:
        """The log of a run; None where it ended before it had one."""
        try:
            return log.read(self.log(name))
        except (FileNotFoundError, NothingYet):
            return None

    def faults_of_log(self, name: str, is_whole: bool = True) -> list[str]:
        """What is wrong with a log. is_whole: whether its session came to its end, so that each cell has a record."""
        try:
            found = self.read(name)
        except LogError as error:
            return [f"the log can't be read: {error}"]
        if found is None:
            return ["there is no log"] if is_whole else []
        count = Counter(cell.id for cell, _ in found.cells)
        faults = [f"twice in the log: {cell}" for cell, times in count.items() if times > 1]
        if is_whole and not found.complete:
            faults.append("the log has no end")
        # A file whose case host dies again when it is tried again can't be collected: one cell stands for it.
        stand_ins = sum(cell.runtime == COLLECT for cell, _ in found.cells)
        expected = self.flavour.count - stand_ins * (self.flavour.count // len(self.flavour.cases) - 1)
        if is_whole and len(count) != expected:
            faults.append(f"{len(count)} of {expected} cells have a verdict")
        strange = [(cell, outcome) for cell, outcome in found.cells if outcome.verdict not in OF_MISHAPS]
        return faults + [f"{c.id} is {o.verdict.value}: {o.message.splitlines()[:1]}" for c, o in strange]

    def verdicts(self, name: str) -> str:
        """How many cells came to what."""
        found = self.read(name)
        counts = Counter(outcome.verdict.value for _, outcome in (found.cells if found else ()))
        return ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))

    def clean(self, name: str, more: Sequence[str] = (), env: Mapping[str, str] | None = None) -> list[str]:
        """Faults of one more run, which nothing happens to: it has to be green, and to leave nothing."""
        with self.running(name, 1, more, env) as process:
            pass
        faults = [f"{name}: {fault}" for fault in (*self.faults_of_log(name), *self.left())]
        if process.returncode != 0:
            lines = [line for line in self.output(name).splitlines() if "error at" in line or line.startswith("E ")]
            faults.append(f"{name}: exit status {process.returncode}: {self.verdicts(name)} {lines[:3]}")
        return faults
