"""What processes have in memory: of real ones, and of a made-up /proc."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pytest_modelconform.terms import resident

MEGABYTE = 10**6
# Takes 200 MB and gives it back, with every line that it reads.
SCRIPT = """
import sys
for line in sys.stdin:
    block = bytearray(200_000_000)
    del block
    print(flush=True)
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: /proc tells")


class Process:
    """One that takes 200 MB for a moment whenever it is asked to."""

    def __init__(self, script: str = SCRIPT) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid

    def takes(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        self.process.stdout.readline()


@pytest.fixture
def process() -> Iterator[Process]:
    made = Process()
    yield made
    made.process.communicate()


@linux
def test_the_most_is_remembered_until_it_is_forgotten(process: Process) -> None:
    process.takes()
    assert resident.now(process.pid) < 100 * MEGABYTE
    assert 200 * MEGABYTE < resident.most(process.pid) < 400 * MEGABYTE
    resident.forget(process.pid)
    if resident.most(process.pid) > 200 * MEGABYTE:
        pytest.skip("this sandbox lets nobody write to clear_refs")
    assert resident.most(process.pid) < 100 * MEGABYTE
    process.takes()
    assert resident.most(process.pid) > 200 * MEGABYTE


@linux
def test_children_of_children_are_kin() -> None:
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()']); print(flush=True)"
    outer = Process(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {nested!r}]); print(flush=True)")
    try:
        while len(found := resident.kin(outer.pid)) < 2:
            assert outer.process.poll() is None
        assert outer.pid not in found
        assert set(found) < set(resident.kin(os.getpid()))
        found_of = resident.of_kin([outer.pid, os.getpid()])
        assert MEGABYTE < found_of[outer.pid] < found_of[os.getpid()]
    finally:
        outer.process.communicate(b"\n")
    assert resident.kin(outer.pid) == []


def proc(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_as_linux_writes_it(tmp_path: Path) -> None:
    # A process may be called what it likes.
    made = proc(
        tmp_path,
        {
            "5/status": "Name:\tx\nVmHWM:\t    2000 kB\nVmRSS:\t    1000 kB\n",
            "5/statm": "900 250 60 1 0 99 0\n",
            "5/stat": "5 (a) R 77) S 1 5 5 0\n",
            "6/stat": "6 (x) S 5 6 6 0\n",
            "6/statm": "9 10 0 0 0 0 0\n",
            "7/stat": "7 (VmHWM: 1) S 6 6 6 0\n",
            "7/statm": "9 20 0 0 0 0 0\n",
            "8/stat": "",
            "sys/stat": "5",
        },
    )
    page = os.sysconf("SC_PAGE_SIZE")
    assert (resident.now(5, made), resident.most(5, made)) == (250 * page, 2000 * 1024)
    assert sorted(resident.kin(5, made)) == [6, 7]
    assert resident.of_kin([5, 6, 9], made) == {5: 30 * page, 6: 20 * page, 9: 0}
    resident.forget(5, made)
    assert (tmp_path / "5" / "clear_refs").read_text() == "5"


def test_a_circle_has_an_end(tmp_path: Path) -> None:
    made = proc(tmp_path, {"5/stat": "5 (x) S 6 5 5 0\n", "6/stat": "6 (x) S 5 6 6 0\n"})
    assert sorted(resident.kin(5, made)) == [5, 6]


@pytest.mark.parametrize("files", [{}, {"5/status": "", "5/statm": "", "5/stat": ""}, {"5/status": "VmHWM: x kB\n"}])
def test_of_what_is_gone_or_told_by_no_system(tmp_path: Path, files: Mapping[str, str]) -> None:
    made = proc(tmp_path / "proc", files)
    assert (resident.now(5, made), resident.most(5, made), resident.of_kin([5], made)) == (0, 0, {5: 0})
    resident.forget(6, made)
