"""What stands in for a cache whose disk is full."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelconform.cache import disk, spare
from pytest_modelconform.cache.disk import DiskFull
from pytest_modelconform.cache.made_once import BuildError, made_once
from pytest_modelconform.cache.store import Cache
from tests.support import small_disk

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    made = Cache(tmp_path / "cache")
    yield made
    spare.remove(made.folder)


def heard(cache: Cache) -> list[str]:
    lines: list[str] = []
    spare.listen(cache.folder, lambda: None, lines.append)
    return lines


def test_what_has_no_room_is_made_elsewhere_and_said_once(cache: Cache) -> None:
    lines = heard(cache)
    tried: list[Path] = []

    def make(folder: Path) -> None:
        tried.append(folder)
        (folder / "model.pt").write_text("x")
        if cache.folder in folder.parents:
            raise FULL

    cache.produce("artifacts", "before", lambda folder: None)
    made = [cache.produce("artifacts", name, make) for name in ("one", "two", "one")]
    other = spare.of(cache.folder)
    assert other is not None
    assert made == [(other / "artifacts" / name, is_there) for name, is_there in (("one", 0), ("two", 0), ("one", 1))]
    # Once it is known, nothing is tried in the full one; what is there is of use all the same; nothing is left there.
    assert [cache.folder in folder.parents for folder in tried] == [True, False, False]
    assert cache.produce("artifacts", "before", make) == (cache.folder / "artifacts" / "before", True)
    assert [path.name for path in (cache.folder / "artifacts").iterdir()] == ["before"]
    assert lines == [
        f"modelconform: the cache {cache.folder} is full (No space left on device): what this run makes is not kept; "
        "free space with: modelconform cache prune --older 30d"
    ]
    spare.remove(cache.folder)
    assert not other.exists()
    assert spare.current(cache.folder) == cache.folder


def test_entries_of_cases_and_their_references_are_found_there(cache: Cache) -> None:
    def write(place: Path) -> str:
        with disk.watched(place):
            if place == cache.folder:
                raise FULL
            made = place / "references" / "made"
            made.mkdir()
            digest: str = cache.write_case("key", {"a": 1}, {}, {}, made, place)["digest_of_all"]
            return digest

    digest = cache.attempt(write)
    other = spare.of(cache.folder)
    assert other is not None
    assert cache.read_case("key", lambda packages: True) == {"a": 1, "digest_of_all": digest}
    assert cache.place("references", digest) == other / "references" / digest
    assert cache.place("references", "none") == cache.folder / "references" / "none"


def test_one_that_can_only_be_read_is_said_otherwise(cache: Cache) -> None:
    lines = heard(cache)

    def do(folder: Path) -> bool:
        if folder == cache.folder:
            raise DiskFull("no", "Read-only file system")
        return True

    assert cache.attempt(do)
    assert lines == [
        f"modelconform: the cache {cache.folder} can't be written (Read-only file system): what this run makes is not "
        "kept; make it writable, or set MODELCONFORM_CACHE to another folder"
    ]


def test_where_nothing_has_room_it_is_no_fault_of_the_cell(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free", lambda folder: 0)
    monkeypatch.setattr(disk, "fault", lambda folder: "No space left on device")
    with pytest.raises(DiskFull) as caught:
        cache.produce("artifacts", "key", lambda folder: pytest.fail("made in vain"))
    assert str(caught.value) == (
        f"not tested: nothing could be written (No space left on device), neither in the cache {cache.folder} nor in a "
        "temporary folder. Free space with: modelconform cache prune --older 30d, and on the disks of TMPDIR and "
        "/dev/shm; or set MODELCONFORM_CACHE to a folder on another disk."
    )
    assert spare.of(cache.folder) is None


def test_where_another_disk_is_full_the_cache_is_not_said_to_be(cache: Cache) -> None:
    """An exporter that shares memory between processes, say, in a container whose /dev/shm has 64 MB."""
    lines = heard(cache)

    def make(folder: Path) -> None:
        raise RuntimeError("unable to write to file </torch_1>: No space left on device (28)")

    with pytest.raises(DiskFull, match="not tested: nothing could be written"):
        cache.produce("artifacts", "key", make)
    assert (lines, spare.of(cache.folder)) == ([], None)


def test_what_writes_to_a_full_cache_ends_before_it_is_asked_again(cache: Cache) -> None:
    done: list[str] = []
    spare.listen(cache.folder, lambda: done.append("ended"), lambda said: done.append("said"))

    def do(folder: Path) -> None:
        done.append("full" if folder == cache.folder else "made")
        if folder == cache.folder:
            raise FULL

    cache.attempt(do)
    assert done == ["full", "ended", "made", "said"]


def test_a_failure_is_one_where_there_is_room(cache: Cache) -> None:
    def make(folder: Path) -> None:
        raise ValueError("no such operator")

    with pytest.raises(ValueError, match="no such operator"):
        cache.produce("artifacts", "key", make)
    assert spare.of(cache.folder) is None


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "model.pt").write_bytes(b"\1" * 2 * small_disk.SIZE)

    with small_disk.mounted(tmp_path / "small") as folder:
        cache = Cache(folder / "cache")
        try:
            made, _ = cache.produce("artifacts", "key", make)
            assert folder not in made.parents
            assert (made / "model.pt").stat().st_size == 2 * small_disk.SIZE
            assert list((cache.folder / "artifacts").iterdir()) == []
        finally:
            spare.remove(cache.folder)


def test_a_lock_that_can_not_be_made_counts_as_well(cache: Cache) -> None:
    def do(folder: Path) -> Path:
        if folder == cache.folder:
            raise FULL
        return folder

    assert spare.attempt(cache.folder, do) == spare.of(cache.folder) != cache.folder


@pytest.mark.parametrize("in_place", [False, True])
def test_what_is_built_once_leaves_nothing_on_a_full_disk(cache: Cache, in_place: bool) -> None:
    def make(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "half").touch()
        if cache.folder in folder.parents:
            raise BuildError("cc1plus: fatal error: error writing to x.s: No space left on device")

    def build(place: Path) -> Path:
        return made_once(place / "harness" / "x", make, print, "waiting", in_place=in_place)

    built = spare.attempt(cache.folder, build)
    assert cache.folder not in built.parents
    assert [path.name for path in (cache.folder / "harness").iterdir()] == ["x.lock"]
