from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelconform.cache.store import Cache
from pytest_modelconform.cluster import exchange
from pytest_modelconform.cluster.exchange import Piece, pieces, take


@pytest.fixture
def one(tmp_path: Path) -> Cache:
    cache = Cache(tmp_path / "one")

    def make(folder: Path) -> None:
        (folder / "model.onnx").write_bytes(b"model")
        (folder / "below").mkdir()
        (folder / "below" / "weights").write_bytes(bytes(range(256)) * 100)
        (folder / "empty").touch()

    cache.produce("artifacts", "key", make)
    cache.write_case("case", {"a": 1}, {}, {})
    return cache


@pytest.fixture
def two(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "two")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_entry_travels_in_pieces(one: Cache, two: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "PIECE", 1000)
    found = list(pieces(one.folder, "artifacts", "key"))
    assert len(found) > 26
    assert take(found, two.folder, "artifacts", "key")
    assert contents(two.folder / "artifacts" / "key") == contents(one.folder / "artifacts" / "key")
    assert [path.name for path in (two.folder / "artifacts").iterdir()] == ["key"]


def test_an_entry_of_one_file(one: Cache, two: Cache) -> None:
    assert take(pieces(one.folder, "cases", "case.json"), two.folder, "cases", "case.json")
    assert two.read_case("case", lambda packages: True) == one.read_case("case", lambda packages: True)


def test_what_is_not_there_does_not_travel(one: Cache, two: Cache) -> None:
    for kind, name in [
        ("artifacts", "other"),
        ("harness", "x"),
        ("artifacts", "../cases/case.json"),
    ]:
        assert list(pieces(one.folder, kind, name)) == []
    assert not take([], two.folder, "artifacts", "other")


def test_a_part_of_an_entry_is_none(one: Cache, two: Cache) -> None:
    whole = list(pieces(one.folder, "artifacts", "key"))
    assert not take(whole[:-1], two.folder, "artifacts", "key")

    def broken() -> Iterator[Piece]:
        yield whole[0]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        take(broken(), two.folder, "artifacts", "key")
    assert list((two.folder / "artifacts").iterdir()) == []


def test_what_is_there_stays(one: Cache, two: Cache) -> None:
    two.produce("artifacts", "key", lambda folder: (folder / "own").touch())
    assert take(pieces(one.folder, "artifacts", "key"), two.folder, "artifacts", "key")
    assert contents(two.folder / "artifacts" / "key") == {"own": b""}


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped"])
def test_nothing_is_written_elsewhere(two: Cache, name: str) -> None:
    assert not take([(name, b"x"), None], two.folder, "artifacts", "key")
    assert not list(two.folder.parent.rglob("escaped"))


def test_a_cache_asks_others_once(one: Cache, two: Cache) -> None:
    asked = []

    def others(kind: str, name: str) -> bool:
        asked.append((kind, name))
        return take(pieces(one.folder, kind, name), two.folder, kind, name)

    two.others = others
    assert two.place("artifacts", "key").is_dir()
    assert two.place("artifacts", "key").is_dir()
    assert not two.place("artifacts", "none").exists()
    assert not two.place("artifacts", "none").exists()
    assert asked == [("artifacts", "key"), ("artifacts", "none")]
    two.ask_again()
    two.place("artifacts", "none")
    assert len(asked) == 3
    assert two.produce("artifacts", "key", lambda folder: pytest.fail("it is there"))[1]
