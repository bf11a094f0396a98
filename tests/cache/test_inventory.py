"""What is in a cache, how large, how old; and that pruning takes the longest unused and nothing that is in use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelconform.cache import inventory, made_once, sessions
from pytest_modelconform.cache.store import Cache

NOW = 1_800_000_000.0
DAY = 86400.0
SIZE = 100_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Cache(tmp_path / "cache").folder


def entry(folder: Path, name: str, days: float, size: int = SIZE) -> Path:
    """An entry of `size` bytes that was last used so many days ago."""
    path = folder / name
    if path.suffix == ".json":
        path.write_bytes(os.urandom(size))
    else:
        (path / "deep").mkdir(parents=True)
        (path / "deep" / "data").write_bytes(os.urandom(size))
    os.utime(path, (NOW - days * DAY,) * 2)
    return path


def names(entries: list[inventory.Entry]) -> list[str]:
    return [found.path.name for found in entries]


def test_entries_by_kind_size_and_last_use(folder: Path) -> None:
    entry(folder, "artifacts/a", 3)
    entry(folder, "cases/c.json", 1)
    entry(folder, "harness/libtorch-cpp-1", 2)
    for beside in ("harness/libtorch-cpp-1.lock", "harness/libtorch-cpp-1.log", "locks/artifacts-a.lock"):
        (folder / beside).touch()
    entry(folder, "artifacts/.making-x", 5)
    found = {e.path.name: e for e in inventory.entries(folder)}
    assert {name: e.kind for name, e in found.items()} == {
        "a": "artifacts", "c.json": "cases", "libtorch-cpp-1": "harness", ".making-x": "half-made"
    }  # fmt: skip
    assert {name: round((NOW - e.used) / DAY) for name, e in found.items()} == {
        "a": 3, "c.json": 1, "libtorch-cpp-1": 2, ".making-x": 5
    }  # fmt: skip
    # As the disk counts: in blocks.
    assert all(SIZE <= e.bytes < 1.3 * SIZE for e in found.values())


def test_a_file_with_two_names_counts_once(folder: Path) -> None:
    place = entry(folder, "artifacts/a", 1)
    os.link(place / "deep" / "data", place / "again")
    [found] = inventory.entries(folder)
    assert found.bytes < 1.3 * SIZE


def test_what_was_not_used_for_long_goes(folder: Path) -> None:
    for name, days in (("artifacts/old", 31), ("artifacts/new", 29), ("references/old", 40)):
        entry(folder, name, days)
    came = inventory.prune(folder, 30 * DAY, now=NOW)
    assert names(came.removed) == ["old", "old"]
    assert [p.name for p in (folder / "artifacts").iterdir()] == ["new"]
    assert list((folder / "references").iterdir()) == []


def test_the_longest_unused_go_until_the_rest_is_small_enough(folder: Path) -> None:
    for days in range(1, 6):
        entry(folder, f"artifacts/{days}", days)
    came = inventory.prune(folder, most=int(2.5 * 1.1 * SIZE), now=NOW)
    assert names(came.removed) == ["5", "4", "3"]
    assert inventory.total(inventory.entries(folder)) <= 2.5 * 1.1 * SIZE


def test_a_dry_run_removes_nothing(folder: Path) -> None:
    entry(folder, "artifacts/old", 31)
    assert names(inventory.prune(folder, 30 * DAY, now=NOW, dry=True).removed) == ["old"]
    assert (folder / "artifacts" / "old").is_dir()


def test_what_goes_takes_its_log_and_lock_along(folder: Path) -> None:
    entry(folder, "environments/node-1", 31)
    for end in (".log", ".lock"):
        (folder / "environments" / f"node-1{end}").touch()
    inventory.prune(folder, 30 * DAY, now=NOW)
    assert list((folder / "environments").iterdir()) == []


def test_half_made_entries_go_a_day_after_they_were_left(folder: Path) -> None:
    entry(folder, "artifacts/.making-now", 0.5)
    entry(folder, "artifacts/.making-old", 1.5)
    entry(folder, "harness/ort-cpp-1.building", 1.5)
    assert sorted(names(inventory.prune(folder, most=10**9, now=NOW).removed)) == [".making-old", "ort-cpp-1.building"]
    assert [p.name for p in (folder / "artifacts").iterdir()] == [".making-now"]


@contextlib.contextmanager
def running(days: float) -> Iterator[float]:
    """A session began so many days ago, and runs."""
    yield NOW - days * DAY


def test_what_a_running_session_uses_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, days in (("artifacts/before", 40), ("artifacts/since", 31), ("inductor", 50)):
        entry(folder, name, days)
    os.utime(folder / "inductor" / "deep" / "data", (NOW - 50 * DAY,) * 2)
    os.utime(folder / "inductor" / "deep", (NOW - 50 * DAY,) * 2)
    monkeypatch.setattr(sessions, "closed", lambda folder: running(35))
    came = inventory.prune(folder, 30 * DAY, now=NOW)
    assert names(came.removed) == ["before"]
    assert sorted(names(came.in_use)) == ["inductor", "since"]


def test_what_can_not_be_removed_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry(folder, "artifacts/old", 31)

    def refuse(path: Path, target: Path) -> Path:
        raise PermissionError(13, "not yours")

    monkeypatch.setattr(Path, "rename", refuse)
    came = inventory.prune(folder, 30 * DAY, now=NOW)
    assert came.removed == []
    assert came.failed == [f"{folder / 'artifacts' / 'old'}: [Errno 13] not yours"]


# -- use ---------------------------------------------------------------------------------------------------------------


def test_whoever_uses_an_entry_touches_it(folder: Path) -> None:
    cache = Cache(folder)
    stored = cache.write_case("key", {}, {}, {}, entry(folder, "references/.making-1", 1))
    paths = [
        cache.produce("artifacts", "key", lambda work: None)[0],
        folder / "cases" / "key.json",
        folder / "references" / stored["digest_of_all"],
        made_once.made_once(folder / "harness" / "x", lambda work: None, print, "waiting"),
    ]
    for path in paths:
        os.utime(path, (NOW, NOW))
    cache.produce("artifacts", "key", lambda work: None)
    cache.read_case("key", lambda packages: True)
    made_once.made_once(folder / "harness" / "x", lambda work: None, print, "waiting")
    assert all(path.stat().st_mtime != NOW for path in paths)


def test_what_was_unpacked_counts_from_when_it_was_made(tmp_path: Path) -> None:
    place = made_once.made_once(tmp_path / "x", lambda work: os.utime(work, (1, 1)), print, "waiting")
    assert place.stat().st_mtime > 1


def test_touching_says_whether_it_is_there(tmp_path: Path) -> None:
    assert inventory.touch(tmp_path)
    assert not inventory.touch(tmp_path / "absent")
