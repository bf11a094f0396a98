"""What tells a full disk."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pytest_modelconform.cache import disk
from pytest_modelconform.cache.disk import DiskFull
from tests.support import small_disk

NO_ROOM = "No space left on device"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.ENOSPC, "?"), NO_ROOM),
        (OSError(errno.EDQUOT, "?"), "Disk quota exceeded"),
        # As workers repeat what libraries say.
        ("RuntimeError: [enforce fail at inline_container.cc] . PytorchStreamWriter: No space left on device", NO_ROOM),
        ("SafetensorError: I/O error: No space left on device (os error 28)", NO_ROOM),
        ("Error: ENOSPC: no space left on device, write", NO_ROOM),
        ("fatal error: error writing to /tmp/cc.s: Disk quota exceeded", "Disk quota exceeded"),
        ("RuntimeError: there is no space between words", None),
        (OSError(errno.EROFS, "?"), "Read-only file system"),
        (OSError(errno.ENOENT, "No such file or directory"), None),
        (DiskFull("some message", "Read-only file system"), "Read-only file system"),
    ],
)
def test_what_errors_say(error: Exception | str, why: str | None) -> None:
    assert disk.said(error) == why


def test_a_disk_is_asked_for_room(tmp_path: Path) -> None:
    assert disk.fault(tmp_path) is None
    assert disk.fault(tmp_path / "not" / "made" / "yet") is None
    assert list(tmp_path.iterdir()) == []
    assert disk.free(tmp_path) > disk.LEAST
    assert disk.free(tmp_path / "nowhere") == 0


def test_a_full_one_has_none_whatever_failed_says(tmp_path: Path) -> None:
    with small_disk.mounted(tmp_path / "small") as folder:
        with pytest.raises(ValueError, match="odd"), disk.watched(folder):
            raise ValueError("odd")
        small_disk.fill(folder)
        assert disk.free(folder) < disk.LEAST
        with pytest.raises(DiskFull, match=f"small can't be written: {NO_ROOM}"), disk.watched(folder):
            raise ValueError("the process was killed by SIGBUS")
