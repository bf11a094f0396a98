"""What is made once, by one process while the others wait: compiled harnesses and libraries, installed environments."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ..terms.core_seconds import HARNESS, SPENT
from . import disk, temporary
from .inventory import touch
from .keeper import KEEPER

Progress = Callable[[str], None]

# Of a failed command's output, as a template error of a C++ compiler is long and its end matters most.
LINES_SHOWN = 60


class BuildError(Exception):
    """Something could not be built or installed; the message holds what the compiler or the installer said."""


# What failed in this process, by its folder: the same again would fail again, up to minutes a cell.
_failures: dict[Path, BuildError] = {}
# The session that this process belongs to, whose other processes are told of failures; "" for none.
_session = ""
# Whether this process makes things that nobody asked for yet; and what it makes just now, one within the other.
_is_ahead = False
_making: list[Path] = []

# The niceness of commands that such a process runs. Who waits for one leaves it its processor meanwhile.
LOWEST = 19
# Seconds that somebody has to wait for such a command until it is run again at usual priority: where other programs
# leave it nothing, it would never end.
PATIENCE = 45.0
# Seconds that a command gets to end what it has started.
_GRACE = 3.0


def join_session(name: str, ahead: bool = False) -> None:
    """Belong to a session: what failed in one of its processes is not tried again in another.

    ahead: whether this process makes what nobody waits for yet. Its commands then take what processors have left.
    """
    global _session, _is_ahead
    _session, _is_ahead = name, ahead


def made_once(
    folder: Path,
    make: Callable[[Path], None],
    progress: Progress,
    waiting: str,
    is_made: Callable[[Path], bool] = Path.is_dir,
    in_place: bool = False,
    fault: type[BuildError] = BuildError,
) -> Path:
    """`folder`, which `make` fills if it isn't there. Any number of processes may ask at once.

    `make` is given an empty folder that takes its final name when it is complete; with `in_place` the final folder
    itself, as the last attempt left it, for what knows where it is; `is_made` then tells a complete one. `waiting` is
    said when another process is at it. A BuildError of `make` is raised again, without another try, whenever this
    process asks for the same folder, or another one of its session, as a `fault`.
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
        with contextlib.suppress(OSError):
            _wish_for(folder).touch()
        lock.acquire()
    _making.append(folder)
    try:
        if not is_made(folder):
            if (told := _told(folder)) is not None:
                raise fault(told)
            if in_place:
                _make_in_place(folder, make)
            else:
                _make_beside(folder, make)
            _failure_of(folder).unlink(missing_ok=True)
    except BuildError as error:
        _failures[folder] = error
        _tell(folder, error)
        raise
    finally:
        _making.remove(folder)
        with contextlib.suppress(OSError):
            _wish_for(folder).unlink(missing_ok=True)
        lock.release()
    touch(folder)  # what was unpacked has its archive's time
    return folder


def _failure_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.failed")


def _tell(folder: Path, error: BuildError) -> None:
    if _session:
        # What can't be told is only tried once more.
        with contextlib.suppress(OSError):
            _failure_of(folder).write_text(json.dumps([_session, str(error)]))


def _told(folder: Path) -> str | None:
    """What a process of this session failed with; it is asked, and told, under the folder's lock."""
    try:
        session, message = json.loads(_failure_of(folder).read_text())
    except (OSError, ValueError):
        return None
    return str(message) if _session and session == _session else None


def _wish_for(folder: Path) -> Path:
    """What says, by its age, since when somebody waits for a folder."""
    return folder.with_name(f"{folder.name}.wanted")


def _is_wanted() -> bool:
    """Whether somebody has waited long for what this process makes just now."""
    for folder in _making:
        with contextlib.suppress(OSError):
            if time.time() - _wish_for(folder).stat().st_mtime > PATIENCE:
                return True
    return False


def _again(error: BuildError) -> BuildError:
    """A copy, since an exception that is raised twice keeps all frames of the first time."""
    return type(error)(*error.args)


def _make_in_place(folder: Path, make: Callable[[Path], None]) -> None:
    try:
        with disk.watched(folder.parent):
            make(folder)
    except disk.DiskFull:
        shutil.rmtree(folder, ignore_errors=True)  # it takes what room there was
        raise


def _make_beside(folder: Path, make: Callable[[Path], None]) -> None:
    """In a folder that is renamed, so that one with the final name is complete. What an ended process left goes."""
    temporary = folder.with_name(f"{folder.name}.building")
    for leftover in (temporary, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    try:
        with disk.watched(folder.parent):
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
    until = math.inf if timeout is None else time.monotonic() + timeout
    temporary_files = temporary.for_others(Path(KEEPER.folder)) if KEEPER.folder else {}
    while True:
        process = subprocess.Popen(
            command,
            env={**environment, **KEEPER.variables(), **temporary_files},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=folder,
        )
        try:
            if not _is_ahead or _is_wanted():
                return process.wait(timeout)
            _lower(process.pid)
            while not _is_wanted():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(1.0)
                if time.monotonic() > until:
                    raise subprocess.TimeoutExpired(command, timeout or 0.0)
        except BaseException:
            _end(process)
            raise
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command with all that it has started: ninja's compilers are in groups of their own, which it ends."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _lower(process: int) -> None:
    """Give a process, which leads a session, the priority of what is made ahead."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PGRP, process, LOWEST)
    # Where Linux weighs sessions, niceness counts only within one (sched(7), "the autogroup feature").
    with contextlib.suppress(OSError):
        Path(f"/proc/{process}/autogroup").write_text(str(LOWEST))
