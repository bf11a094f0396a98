"""Ends by the kernel, in a made-up /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.terms.kills import Kills

VERSION_2 = ("0::/ours\n", "2 1 0:26 / @/cg rw - cgroup2 cgroup rw\n", "cg/ours/memory.events", "low 0\noom 5\n")
VERSION_1 = (
    "4:memory:/ours\n",
    "2 1 0:30 / @/cg rw - cgroup cgroup rw,memory\n",
    "cg/ours/memory.oom_control",
    "oom_kill_disable 0\nunder_oom 0\n",
)
NO_GROUP = ("", "", "proc/vmstat", "nr_free_pages 7\n")


@pytest.mark.parametrize(("groups", "mounts", "file", "before"), [VERSION_2, VERSION_1, NO_GROUP])
def test_each_is_told_once(tmp_path: Path, groups: str, mounts: str, file: str, before: str) -> None:
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text(groups)
    (proc / "self" / "mountinfo").write_text(mounts.replace("@", str(tmp_path)))
    (proc / "vmstat").write_text("oom_kill 3\n")
    counter = tmp_path / file
    counter.parent.mkdir(parents=True, exist_ok=True)

    def count(number: int) -> None:
        counter.write_text(f"{before}oom_kill {number}\n")

    count(4)
    kills = Kills(proc)
    assert not kills.any_more()
    count(5)
    assert kills.any_more()
    assert not kills.any_more()
    if file != "proc/vmstat":
        # In another container.
        (proc / "vmstat").write_text("oom_kill 9\n")
        assert not kills.any_more()


def test_where_nothing_counts_nothing_is_known(tmp_path: Path) -> None:
    assert not Kills(tmp_path).any_more()
