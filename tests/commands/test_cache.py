"""`modelconform cache`: what it shows, what it removes, and what it says to limits that make no sense."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pytest_modelconform.cache.store import Cache
from pytest_modelconform.commands import cache as command
from pytest_modelconform.commands import cli


@pytest.fixture
def artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with artifacts that were used 1, 40 and 80 days ago."""
    monkeypatch.setenv("MODELCONFORM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    folder = Cache(tmp_path / "cache").folder / "artifacts"
    for days in (1, 40, 80):
        (folder / str(days)).mkdir()
        (folder / str(days) / "model.onnx").write_bytes(os.urandom(200_000))
        os.utime(folder / str(days), (time.time() - days * 86400 - 60,) * 2)
    return folder


def test_show(artifacts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cache", "show"]) == 0
    head, columns, row = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{artifacts.parent}: 6")
    assert columns.split()[:3] == ["kind", "entries", "size"]
    assert row.split()[:2] == ["artifacts", "3"]
    assert row.endswith("1 day ago  80 days")


def test_prune(artifacts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cache", "prune", "--older", "60d", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "artifacts: 80  " in out
    assert "would remove 1 entry, " in out
    assert cli.main(["cache", "prune", "--older", "60d", "--max", "300kB"]) == 0
    assert "removed 2 entries, " in capsys.readouterr().out
    assert [path.name for path in artifacts.iterdir()] == ["1"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--older", "30"], "'30' is not an age: write hours, days or weeks as 12h, 30d or 8w"),
        (["--max", "20"], "'20' is not a size: write it as 500MB, 20GB or 16GiB"),
        ([], "prune needs --older AGE, --max SIZE or both, for example --older 30d --max 20GB"),
    ],
)
def test_limits_that_can_not_be_read(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["cache", "prune", *options])
    assert left.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (936_400_000, "936 MB"), (1_620_000_000, "1.62 GB")],
)
def test_sizes_in_words(count: int, words: str) -> None:
    assert command.size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "a moment"), (61, "1 minute"), (7300, "2 hours"), (86400, "1 day"), (1e6, "11 days")]
)
def test_spans_in_words(seconds: float, words: str) -> None:
    assert command.span(seconds) == words
