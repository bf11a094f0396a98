"""Processors and memory that this process and its children may use, as containers limit them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Memory:
    """Bytes. total: what we may have at the most. free: what of that nobody uses now."""

    total: int
    free: int


def cores(proc: Path = _PROC) -> int:
    """Processors that we may use at a time: those that we may run on, or what a container's quota comes to, rounded up.

    proc: where Linux tells of processes.
    """
    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for quota in map(_quota, _groups("cpu", proc)) if quota is not None]
    return max(1, min([known, *map(math.ceil, quotas)]))


def memory(proc: Path = _PROC) -> Memory:
    """The machine's memory, or the container's. Where the system doesn't tell what is free, half of it is taken to be.

    proc: where Linux tells of processes.
    """
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    available = _fields(proc / "meminfo").get("MemAvailable:")
    free = total // 2 if available is None else available * 1024
    for group in _groups("memory", proc):
        limit = _number(group / "memory.max", group / "memory.limit_in_bytes")
        used = _number(group / "memory.current", group / "memory.usage_in_bytes")
        if limit is None or used is None:
            continue
        # The kernel counts files that were read, too, and gives their memory back when it is needed.
        stat = _fields(group / "memory.stat")
        files = sum(stat.get(f"total_{name}", stat.get(name, 0)) for name in ("inactive_file", "active_file"))
        total, free = min(total, limit), min(free, limit - max(0, used - files))
    return Memory(total, max(0, min(free, total)))


def kills(proc: Path = _PROC) -> list[int]:
    """How many processes the kernel has ended for want of memory, in each of our groups that counts them."""
    found = (_fields(file).get("oom_kill") for group in _groups("memory", proc) for file in _counting(group))
    return [count for count in found if count is not None]


def kills_anywhere(proc: Path = _PROC) -> list[int]:
    """The same of all of the machine."""
    count = _fields(proc / "vmstat").get("oom_kill")
    return [] if count is None else [count]


def _counting(group: Path) -> tuple[Path, Path]:
    """The files in which a group of version 2 counts, and one of version 1."""
    return group / "memory.events", group / "memory.oom_control"


def _groups(controller: str, proc: Path) -> Iterator[Path]:
    """Folders of the control groups that limit us, as far as we can see them: those of version 2, and of a controller.

    Each limits all below it, so that the tightest of all decides.
    """
    try:
        memberships = (proc / "self" / "cgroup").read_text().splitlines()
        mounts = (proc / "self" / "mountinfo").read_text().splitlines()
    except OSError:
        return  # no Linux
    ours = {}
    for line in memberships:
        _, names, path = line.split(":", 2)
        # Version 2 has no names.
        ours.update(dict.fromkeys(names.split(","), path))
    for line in mounts:
        about, _, system = line.partition(" - ")
        root, point = about.split(" ")[3:5]
        kind, _, options = system.split(" ", 2)
        name = {"cgroup2": "", "cgroup": controller}.get(kind)
        if name is None or name not in ours or (name and name not in options.split(",")):
            continue
        top = Path(point)
        # Within a container a path may be the host's, of which the mount shows our own group only.
        below = os.path.relpath(ours[name], root)
        group = top if below.startswith("..") else top / below
        yield group
        while group != top:
            group = group.parent
            yield group


def _quota(group: Path) -> float | None:
    """How many processors a group may use, or None for as many as there are."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):
        return None  # "max", or a group that has no such limit, as the outermost one


def _number(*files: Path) -> int | None:
    """The number in the first of these files that there is; None if that says "max"."""
    for file in files:
        try:
            return int(file.read_text())
        except OSError:
            continue
        except ValueError:
            return None
    return None


def _fields(file: Path) -> dict[str, int]:
    """Lines of a name, a number and perhaps a unit."""
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return {}
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}
