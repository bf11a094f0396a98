"""A control group with little memory, as of a small container: what is in it and takes more, the kernel ends."""

from __future__ import annotations

import contextlib
import functools
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import runs

# Of version 1, and of version 2, with the file that limits memory.
_PLACES = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"))


@contextlib.contextmanager
def limited(size: int) -> Iterator[Path]:
    """The `cgroup.procs` of a group: a process that writes its id there is in it. Skips where nobody may make one."""
    for place, name in _PLACES:
        group = Path(place) / f"modelconform-test-{uuid.uuid4().hex[:8]}"
        limit = group / name
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if not limit.exists():
                continue
            limit.write_text(str(size))
            with contextlib.suppress(OSError):
                (group / "memory.swap.max").write_text("0")
            yield group / "cgroup.procs"
            return
        finally:
            # What ends after its run, and what the kernel has not forgotten yet, is still in it.
            runs.wait_until(functools.partial(_is_removed, group), 60, f"{group} is empty")
    pytest.skip("this machine lets us make no control group with a limit of memory")


def _is_removed(group: Path) -> bool:
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()
