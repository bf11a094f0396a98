"""Processors and memory as control groups of both versions limit them, in a made-up /proc."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_modelconform.terms import capacity

GIGABYTE = 2**30
# More than any machine has: what version 1 says for "no limit".
NONE_1 = "9223372036854771712"


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 cores and 256 GiB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 64 * 2**20}.__getitem__)


def proc(folder: Path, groups: str, mounts: str, files: Mapping[str, str]) -> Path:
    """A /proc: what the process is a member of, what is mounted where, and what is in there. `@`: the folder."""
    made = folder / "proc"
    (made / "self").mkdir(parents=True)
    (made / "meminfo").write_text(f"MemTotal: {256 * 2**20} kB\nMemAvailable: {100 * 2**20} kB\nHugePages_Total: 0\n")
    (made / "self" / "cgroup").write_text(groups)
    (made / "self" / "mountinfo").write_text(f"1 0 8:1 / / rw - ext4 /dev/root rw\n{mounts.replace('@', str(folder))}")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return made


VERSION_2 = ("0::/\n", "2 1 0:26 / @/cg rw shared:4 - cgroup2 cgroup rw,nsdelegate\n")
# A service of systemd's, limited by a slice above it.
NESTED = ("0::/user.slice/it.service\n", VERSION_2[1])
# Docker: the path is the host's, of which the container sees its own group only.
VERSION_1 = (
    "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n",
    "2 1 0:30 /docker/abc @/cg/cpu ro - cgroup cgroup rw,cpu,cpuacct\n"
    "3 1 0:31 /docker/abc @/cg/memory ro master:2 - cgroup cgroup rw,memory\n"
    "4 1 0:32 /elsewhere @/cg/systemd ro - cgroup cgroup rw,name=systemd\n",
)


@pytest.mark.parametrize(
    ("where", "files", "expected"),
    [
        (VERSION_2, {}, 64),
        (VERSION_2, {"cg/cpu.max": "max 100000"}, 64),
        (VERSION_2, {"cg/cpu.max": "200000 100000"}, 2),
        (VERSION_2, {"cg/cpu.max": "150000 100000"}, 2),
        (VERSION_2, {"cg/cpu.max": "10000 100000"}, 1),
        (VERSION_2, {"cg/cpu.max": "9900000 100000"}, 64),
        (VERSION_2, {"cg/cpu.max": ""}, 64),
        (NESTED, {"cg/user.slice/cpu.max": "400000 100000", "cg/user.slice/it.service/cpu.max": "max 100000"}, 4),
        (VERSION_1, {"cg/cpu/cpu.cfs_quota_us": "-1", "cg/cpu/cpu.cfs_period_us": "100000"}, 64),
        (VERSION_1, {"cg/cpu/cpu.cfs_quota_us": "300000", "cg/cpu/cpu.cfs_period_us": "100000"}, 3),
    ],
)
def test_cores(tmp_path: Path, where: tuple[str, str], files: Mapping[str, str], expected: int) -> None:
    assert capacity.cores(proc(tmp_path, *where, files)) == expected


@pytest.mark.parametrize(
    ("where", "files", "total", "free"),
    [
        (VERSION_2, {}, 256, 100),
        (VERSION_2, {"cg/memory.max": "max", "cg/memory.current": "5"}, 256, 100),
        # 8 GiB, of which 5 are in use, 2 of them for files that were read.
        (
            VERSION_2,
            {
                "cg/memory.max": str(8 * GIGABYTE),
                "cg/memory.current": str(5 * GIGABYTE),
                "cg/memory.stat": f"anon 1\ninactive_file {GIGABYTE}\nactive_file {GIGABYTE}\n",
            },
            8,
            5,
        ),
        # More than the machine has left.
        (VERSION_2, {"cg/memory.max": str(200 * GIGABYTE), "cg/memory.current": "0"}, 200, 100),
        # Over its limit.
        (VERSION_2, {"cg/memory.max": str(GIGABYTE), "cg/memory.current": str(2 * GIGABYTE)}, 1, 0),
        (VERSION_1, {"cg/memory/memory.limit_in_bytes": NONE_1, "cg/memory/memory.usage_in_bytes": "5"}, 256, 100),
        (
            VERSION_1,
            {
                "cg/memory/memory.limit_in_bytes": str(8 * GIGABYTE),
                "cg/memory/memory.usage_in_bytes": str(7 * GIGABYTE),
                # The group's own, and with those below it.
                "cg/memory/memory.stat": f"inactive_file 7\ntotal_inactive_file {3 * GIGABYTE}\ntotal_active_file 0\n",
            },
            8,
            4,
        ),
    ],
)
def test_memory(tmp_path: Path, where: tuple[str, str], files: Mapping[str, str], total: int, free: int) -> None:
    found = capacity.memory(proc(tmp_path, *where, files))
    assert found == capacity.Memory(total * GIGABYTE, free * GIGABYTE)


def test_where_there_is_no_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert capacity.cores(tmp_path) == 8
    assert capacity.memory(tmp_path) == capacity.Memory(256 * GIGABYTE, 128 * GIGABYTE)
