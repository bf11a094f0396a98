"""What processes have in memory, as Linux tells of them. Where no system does, that is nothing: 0 bytes.

Resident is what takes room in the machine's memory: also the pages of libraries and of mapped files, which several
processes may share, so that sums of processes are at most too large.
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def of_kin(pids: Iterable[int], proc: Path = _PROC) -> dict[int, int]:
    """By process the bytes that its descendants have: compilers, a browser. Takes some 20 µs a process of the machine.

    (Their task/*/children would be faster, where a kernel is built with that.)
    """
    children = _children(proc)
    return {pid: sum(now(found, proc) for found in _kin(pid, children)) for pid in pids}


def kin(pid: int, proc: Path = _PROC) -> list[int]:
    """The descendants of a process."""
    return _kin(pid, _children(proc))


def _kin(pid: int, children: Mapping[int, Sequence[int]]) -> list[int]:
    found: dict[int, None] = {}
    left = [pid]
    while left:
        # Ids that were given to other processes while this was read may come in a circle.
        new = [child for child in children.get(left.pop(), ()) if child not in found]
        left += new
        found.update(dict.fromkeys(new))
    return list(found)


def _children(proc: Path) -> Mapping[int, Sequence[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for child, parent in _parents(proc):
        found[parent].append(child)
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
