"""Keep a program that must not outlive its owner: `python keep.py FOLDER PROGRAM ARGUMENT…`. Standard library only.

The owner holds the other end of stdin, and descriptors 3 and 4 are for the program. When stdin ends, by whatever death
of the owner, or when the program does, all that the program has started is killed and FOLDER removed. This process is
in a session of its own, so that it lives on when the owner's whole group is killed.
"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time

SECONDS = 5.0


def main(folder: str, command: list[str]) -> int:
    """Returns the program's exit status, 0 if it was ended."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    linux = sys.platform.startswith("linux")
    libc = ctypes.CDLL(None)
    if linux:
        # What loses its parent becomes our child, and so is found.
        libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER

    def die_with_keeper() -> None:
        if linux:
            libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    program = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=2,
        pass_fds=(3, 4),
        start_new_session=True,
        preexec_fn=die_with_keeper,
    )
    os.close(3)
    os.close(4)
    while program.poll() is None:
        if select.select([0], [], [], 0.2)[0] and not os.read(0, 1):
            break
    status = program.poll()
    _end(program.pid, linux)
    program.wait()
    _remove(folder)
    return 0 if status is None else status if status >= 0 else 128 - status


def _end(leader: int, linux: bool) -> None:
    """Kill the program's group, and then whatever of it has come to us."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    deadline = time.monotonic() + SECONDS
    while linux and time.monotonic() < deadline:
        children = _children(os.getpid())
        if not children:
            return
        for child in children:
            with contextlib.suppress(ProcessLookupError, PermissionError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)


def _children(parent: int) -> list[int]:
    try:
        with open("/proc/%d/task/%d/children" % (parent, parent)) as file:
            return [int(child) for child in file.read().split()]
    except OSError:  # a kernel that has been built without it
        return []


def _remove(folder: str) -> None:
    deadline = time.monotonic() + SECONDS
    while os.path.exists(folder) and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
