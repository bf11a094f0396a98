from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from pytest_modelconform.cache import temporary
from pytest_modelconform.cluster import shared


def test_what_a_node_has_left_reaches_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [tmp_path / "node", tmp_path / "controller"]
    for place in places:
        place.mkdir()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(places[0]))
    shared.enter("session")
    folder = temporary.folder_of("session")
    for name in ("witnesses/key/pair.json", "blame/one.red.json", "other/file"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    found = shared.taken("session")
    assert sorted(found) == ["blame/one.red.json", "witnesses/key/pair.json"]
    shared.leave("session")
    assert list(places[0].iterdir()) == []

    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(places[1]))
    shared.put("session", {**found, "../escaped": b"", "blame/../../escaped": b"", "other/file": b""})
    files = [path for path in places[1].rglob("*") if path.is_file()]
    assert sorted(path.relative_to(temporary.folder_of("session")).as_posix() for path in files) == sorted(found)
