"""What is made once, by one process while the others wait: compiled harnesses and libraries, installed environments."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ..terms.core_seconds import HARNESS, SPENT
from .inventory import touch

Progress = Callable[[str], None]

# Of a failed command's output, as a template error of a C++ compiler is long and its end matters most.
LINES_SHOWN = 60


class BuildError(Exception):
    """Something could not be built or installed; the message holds what the compiler or the installer said."""


# What failed in this process, by its folder: the same again would fail again, up to minutes a cell.
_failures: dict[Path, BuildError] = {}


def made_once(
    folder: Path,
    make: Callable[[Path], None],
    progress: Progress,
    waiting: str,
    is_made: Callable[[Path], bool] = Path.is_dir,
    in_place: bool = False,
) -> Path:
    """`folder`, which `make` fills if it isn't there. Any number of processes may ask at once.

    `make` is given an empty folder that takes its final name when it is complete; with `in_place` the final folder
    itself, as the last attempt left it, for what knows where it is; `is_made` then tells a complete one. `waiting` is
    said when another process is at it. A BuildError of `make` is raised again, without another try, whenever this
    process asks for the same folder.
    """
    from filelock import FileLock, Timeout

    if is_made(folder):
        touch(folder)
        return folder
    if folder in _failures:
        raise _again(_failures[folder])
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{folder}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        progress(f"{waiting} …")
        lock.acquire()
    try:
        if not is_made(folder):
            if in_place:
                make(folder)
            else:
                _make_beside(folder, make)
    except BuildError as error:
        _failures[folder] = error
        raise
    finally:
        lock.release()
    touch(folder)  # what was unpacked has its archive's time
    return folder


def _again(error: BuildError) -> BuildError:
    """A copy, since an exception that is raised twice keeps all frames of the first time."""
    return type(error)(*error.args)


def _make_beside(folder: Path, make: Callable[[Path], None]) -> None:
    """In a folder that is renamed, so that one with the final name is complete. What an ended process left goes."""
    temporary = folder.with_name(f"{folder.name}.building")
    for leftover in (temporary, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    try:
        make(temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


# ---- Commands that build and install ---------------------------------------------------------------------------------


def log_of(folder: Path) -> Path:
    """What the last commands that made a folder printed; it stays when they failed."""
    return folder.with_name(f"{folder.name}.log")


def run_all(
    steps: Iterable[tuple[str, Sequence[str]]],
    environment: Mapping[str, str],
    log: Path,
    head: str,
    folder: Path | None = None,
    error: type[BuildError] = BuildError,
    kind: str = HARNESS,
) -> None:
    """Run commands in `folder`, each with its name, one after another, with their output into `log`.

    kind: of their core-seconds. Raises `error` at the first that fails: `head`, its name, how it ended, and the end of
    the log.
    """
    with log.open("wb") as output:
        for name, command in steps:
            output.write(f"$ {shlex.join(command)}\n".encode())
            output.flush()
            with SPENT.of_children(kind):
                status = run(command, environment, output.fileno(), folder)
            if status != 0:
                raise error(f"{head}: {name} {how_it_ended(status)}\n{_end_of(log)}\nfull log: {log}")


def how_it_ended(status: int) -> str:
    """An exit status, negative for a signal, in words."""
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    cut = [f"(the last {LINES_SHOWN} of {len(lines)} lines)"] if len(lines) > LINES_SHOWN else []
    return "\n".join([*cut, *lines[-LINES_SHOWN:]])


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    output: int,
    folder: Path | None = None,
    timeout: float | None = None,
) -> int:
    """Run a command in `folder` with its output into a descriptor; its exit status, negative for a signal.

    In a session of its own, so that Ctrl-C in the terminal reaches this process alone, which then ends the compilers.
    Raises subprocess.TimeoutExpired after `timeout` seconds, when all that it started is ended.
    """
    process = subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        cwd=folder,
    )
    try:
        return process.wait(timeout)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
