"""What processes have in memory, as Linux tells of them. Where no system does, that is nothing: 0 bytes.

Resident is what takes room in the machine's memory: also the pages of libraries and of mapped files, which several
processes may share, so that sums of processes are at most too large.
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")


def now(pid: int, proc: Path = _PROC) -> int:
    """Bytes that a process has in memory; 0 where it is gone."""
    try:
        return int((proc / str(pid) / "statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def most(pid: int, proc: Path = _PROC) -> int:
    """The most bytes that it had, since its start or since `forget`; 0 where it is gone."""
    try:
        line = (proc / str(pid) / "status").read_bytes().partition(b"\nVmHWM:")[2]
        return int(line.split(None, 1)[0]) * 1024
    except (OSError, ValueError, IndexError):
        return 0


def forget(pid: int, proc: Path = _PROC) -> None:
    """Have the kernel begin anew with the most that a process had. Some sandboxes don't let us: then all counts."""
    # What proc(5) says of 5. The numbers below would touch what the process's pages are used for.
    with contextlib.suppress(OSError):
        (proc / str(pid) / "clear_refs").write_bytes(b"5")


def of_kin(pid: int, proc: Path = _PROC) -> int:
    """Bytes that all descendants of a process have: compilers, a browser. Takes some 20 µs a process of the machine."""
    return sum(now(found, proc) for found in kin(pid, proc))


def kin(pid: int, proc: Path = _PROC) -> list[int]:
    """The descendants of a process. (Its task/*/children would be faster, where a kernel is built with that.)"""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for child, parent in _parents(proc):
        children[parent].append(child)
    found, left = [], [pid]
    while left:
        left += (children_of := children.pop(left.pop(), []))
        found += children_of
    return found


def _parents(proc: Path) -> Iterator[tuple[int, int]]:
    """Each process with the one that started it."""
    try:
        names = [path.name for path in proc.iterdir()]
    except OSError:
        return
    for name in names:
        if name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # Its name, in brackets, may hold anything.
                yield int(name), int((proc / name / "stat").read_bytes().rpartition(b")")[2].split()[1])
