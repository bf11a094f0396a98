"""Runs of pytest as a process of its own, and folders of case files to run it in."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.support import fakes, shared

# y = 3x + 1, like the smoke model; `{}` is the rest of the Case's fields.
CASE = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([3.0]))

    def forward(self, x):
        return x * self.weight + 1.0


inputs = {"seven": lambda: (torch.arange(7.0, 11.0).reshape(2, 2),), "one": lambda: (torch.tensor([[5.0, 9.0]]),)}
"""
# One that ends the pytest process which it runs for.
DEADLY = (
    CASE
    + """\

import os
import signal


def model():
    os.kill(os.getppid(), signal.SIGKILL)
    return Net()


case = Case(model=model, inputs=inputs)
"""
)
PLAIN = CASE + "case = Case(model=lambda: Net(), inputs=inputs)\n"


# Plugins that came along with exporters. Importing them warns, or takes half of the time that a run of pytest takes.
OURS = ("pytest-modelconform", "pytest-xdist")
OTHERS_PLUGINS = [
    f"-pno:{plugin.name}"
    for plugin in importlib.metadata.entry_points(group="pytest11")
    if plugin.dist is not None and plugin.dist.name not in OURS
]
# Cells of our own tests are red on purpose.
NO_BLAME = "--modelconform-blame=off"
# conftest.py has it in the environment, from which `pytester` takes it away.
ADDOPTS = " ".join([*OTHERS_PLUGINS, NO_BLAME])


@dataclass(frozen=True)
class Run:
    """What a run of pytest came to."""

    status: int
    stdout: str
    stderr: str
    report: Mapping[str, Any]

    @cached_property
    def cells(self) -> Mapping[str, Mapping[str, Any]]:
        """The records of the JSON report by `case[…]`, without the file."""
        return {cell["id"].rpartition("::")[2]: cell for cell in self.report.get("cells", [])}

    def verdict(self, name: str) -> tuple[str, str | None]:
        """Verdict and stage of a cell."""
        cell = self.cells[name]
        return cell["verdict"], cell["stage"]

    def message(self, name: str) -> str:
        """A cell's message and notes."""
        return "\n".join([self.cells[name]["message"], *self.cells[name]["notes"]])

    def failure(self, cell_id: str) -> str:
        """What the matrix says below it of one failed cell."""
        lines = self.stdout.partition("compatibility matrix")[2].splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith(f"{cell_id}: "))
        rest = lines[start:]
        return "\n".join(rest[: next((i for i, line in enumerate(rest) if not line.strip()), None)])


def cell(case: str, fake: str) -> str:
    """The name of a case's cell in a fake runtime."""
    return f"{case}[torchscript_trace-{fakes.runtime_name(fake).replace('-', '_')}-cpu]"


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a project: a rootdir with the fakes in its conftest.py. Returns the folder."""
    for name, text in {"pytest.ini": "[pytest]\n", "conftest.py": fakes.CONFTEST, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def case_file(folder: Path, stem: str, text: str) -> Path:
    """Write a case file, named by its text: a process imports each name once, and the name is part of the seed, so that
    a counter would give a test other numbers whenever others run before it.
    """
    path = folder / f"{stem}{zlib.crc32(text.encode())}.py"
    path.write_text(text)
    return path


PYTEST = (sys.executable, "-m", "pytest")
# Of the terminal: tests look for sentences, which are in one line there. What is narrow is tested in tests/report.
WIDTH = 500


def command(*arguments: str, program: Sequence[str] = PYTEST) -> list[str]:
    """The command line of a run with the plugin on, in one process unless the arguments speak of several."""
    speaks = any(word.startswith("-n") or word == "no:xdist" for word in arguments)
    return [*program, "--modelconform", *(() if speaks else ("-n", "0")), *arguments]


def run(
    folder: Path,
    *arguments: str,
    runtimes: str = "fake-good-never",
    env: Mapping[str, str] | None = None,
    seconds: float = 300,
    program: Sequence[str] = PYTEST,
) -> Run:
    """Run pytest in a folder, by default in the well-behaved fake, and read its JSON report. seconds: for all of it."""
    report = _report(folder)
    done = subprocess.run(
        command(*_options(report, runtimes), *arguments, program=program),
        cwd=folder,
        env={"PYTEST_ADDOPTS": ADDOPTS, **os.environ, "COLUMNS": str(WIDTH), **(env or {})},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=seconds,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr, _content(report))


def run_here(pytester: pytest.Pytester, folder: Path, *arguments: str, runtimes: str = "fake-good-never") -> Run:
    """As `run`, in this process: in a fifth of the time, where all cases are in the cache. Not for `-n 2`."""
    report = _report(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", str(WIDTH))
        line = command(*_options(report, runtimes), "--rootdir", str(folder), *OTHERS_PLUGINS, *arguments, program=())
        done = pytester.runpytest_inprocess(*line)
    return Run(int(done.ret), done.stdout.str(), done.stderr.str(), _content(report))


def _report(folder: Path) -> Path:
    """Where the report of a run goes: runs may be in one folder at once."""
    handle, name = tempfile.mkstemp(prefix="report-", suffix=".json", dir=folder)
    os.close(handle)
    Path(name).unlink()
    return Path(name)


def _options(report: Path, runtimes: str) -> list[str]:
    return [
        f"--modelconform-json={report}",
        f"--modelconform-runtimes={runtimes}",
        "--modelconform-formats=torchscript-trace",
    ]


def _content(report: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
    return content


def once(folder: Path, name: str, make: Callable[[Path], Run]) -> Run:
    """The run of a name, made by whichever test, in whichever xdist worker, asks first."""

    def store(target: Path) -> None:
        made = make(target)
        (target / "run.json").write_text(json.dumps([made.status, made.stdout, made.stderr, made.report]))

    return Run(*json.loads((shared.made(folder, name, store) / "run.json").read_text()))


def alone(folder: Path, name: str) -> FileLock:
    """A lock that tests in all xdist workers share."""
    return FileLock(folder / f"{name}.alone")


def is_alive(pid: int) -> bool:
    """Whether a process runs: a zombie that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter where it goes between open and read
        if Path("/proc").is_dir():
            return False
    else:
        return state not in ("Z", "X")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for something to happen in another process. Raises AssertionError if it does not."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.05)
