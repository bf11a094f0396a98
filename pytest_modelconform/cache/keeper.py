"""What ends all that a process has started when it dies, whatever that was: a second process, which waits for it.

    python keeper.py TOKEN FOLDER

The owner holds the other end of stdin. All that it starts has the token in its environment, and so has what that
starts, such as an exporter's compiler. When stdin ends, what has the token is killed, and the temporary FOLDER goes
unless another process has it. The kernel kills workers with their parents where they ask for it, but not what these
have started. Run as a program, this has the standard library only. Where there is no /proc, only the folder goes.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

VARIABLE = "MODELCONFORM_OWNER"
# Seconds for which what dies is looked for. Who was about to start something may be seen only then.
_SECONDS, _PAUSE = 10.0, 0.05
_ROUNDS = 3
# What the terminal, or who ends a job, sends to all: nothing for the keeper.
_NOT_OURS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Outliving(subprocess.Popen[bytes]):
    """A process that is to outlive us: that it runs when we end is no mistake, of which Python would warn."""

    def __del__(self) -> None:
        """Neither warn of it nor wait for it."""


class Keeper:
    """That of this process, which is started when it is asked for first, and again where somebody has killed it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: _Outliving | None = None
        # What the keeper reads from ends when this process does. A descriptor: a file would have to be closed.
        self._end: int | None = None
        self._owner = 0
        self._token = ""
        # The temporary folder of this process's session; "" for none.
        self.folder = ""

    def variables(self) -> dict[str, str]:
        """What the environment of all that this process starts has to hold. Starts the keeper."""
        with self._lock:
            if self._owner != os.getpid():  # else this process is another's fork
                self._owner, self._process = os.getpid(), None
                self._token = f"{self._owner}-{os.urandom(8).hex()}"
            if self._process is None or self._process.poll() is not None:
                # Without it the kernel ends workers, and what they have started ends by itself.
                with contextlib.suppress(OSError):
                    self._start()
            return {VARIABLE: self._token}

    def _start(self) -> None:
        if self._end is not None:
            os.close(self._end)
            self._end = None
        begin, self._end = os.pipe()
        # Else one that comes while the keeper's Python begins would end it.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_OURS)
        try:
            self._process = _Outliving(
                [sys.executable, "-I", "-S", __file__, self._token, self.folder],
                stdin=begin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
            os.close(begin)


KEEPER = Keeper()


# ---- The process beside ----------------------------------------------------------------------------------------------


def main(token: str, folder: str) -> None:
    """Wait for the owner's end."""
    for number in _NOT_OURS:
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 4096):
        pass
    end(token)
    if folder:
        _temporary().remove(Path(folder))


def end(token: str) -> None:
    """Kill all processes that have a token in their environment."""
    mark = f"{VARIABLE}={token}".encode()
    until, quiet = time.monotonic() + _SECONDS, 0
    while quiet < _ROUNDS and time.monotonic() < until:
        found = list(_marked(mark))
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        quiet = 0 if found else quiet + 1
        time.sleep(_PAUSE)


def _marked(mark: bytes) -> Iterator[int]:
    """Processes of this user with a mark in their environment. One that has died and waits for its parent has none."""
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():  # noqa: PTH112, PTH208 (a tenth of the time)
        if name.isdecimal():
            # Another user's, or gone meanwhile.
            with contextlib.suppress(OSError):
                if mark in Path("/proc", name, "environ").read_bytes().split(b"\0"):
                    yield int(name)


def _temporary() -> ModuleType:
    """The module of this name beside this file, without the package, which takes longer to import."""
    spec = importlib.util.spec_from_file_location("temporary", Path(__file__).with_name("temporary.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["temporary"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(*sys.argv[1:])
