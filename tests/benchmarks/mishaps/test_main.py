"""The benchmark of mishaps: drawn by numbers, done once, and said in a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.mishaps import __main__ as program
from benchmarks.mishaps import kinds
from benchmarks.mishaps.drawn import Came, Draw, NotHere


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    def kills(draw: Draw) -> Came:
        faults = ["process left: host"] if draw.number == 2 else []
        return Came([f"plain -n {draw.random.randint(0, 99)}", "3.0 s: host"], faults, "6 pass")

    def clock(draw: Draw) -> Came:
        raise NotHere("no library")

    monkeypatch.setattr(program, "KINDS", {"kills": kills, "clock": clock})
    monkeypatch.setattr(program.signal, "signal", lambda *_: None)  # type: ignore[attr-defined]
    (tmp_path / "seconds.json").write_text('{"plain": 1.0}')
    return ["--folder", str(tmp_path), "--results", str(tmp_path / "results.jsonl")]


def test_each_is_done_once_and_the_table_says_what_was_wrong(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main([*words, "--numbers", "1-3", "--kinds", "kills,clock"]) == 1
    said = capsys.readouterr().out
    assert "WRONG: process left: host" in said
    assert "| kills | 3 | 2 | 1 |" in said
    assert "killed: 3 host" in said
    assert said.count("clock: no library") == 3
    before = (tmp_path / "results.jsonl").read_text()
    assert program.main([*words, "--numbers", "1-3", "--kinds", "kills"]) == 1
    assert (tmp_path / "results.jsonl").read_text() == before


def test_a_number_draws_the_same_each_time(words: list[str], tmp_path: Path) -> None:
    program.main([*words, "--numbers", "1-3", "--kinds", "kills"])
    first = [json.loads(line)["done"] for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    (tmp_path / "results.jsonl").unlink()
    program.main([*words, "--numbers", "1-3", "--kinds", "kills"])
    assert [json.loads(line)["done"] for line in (tmp_path / "results.jsonl").read_text().splitlines()] == first
    assert len({str(done) for done in first}) == 3


def test_no_more_begin_when_the_time_has_ended(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([*words, "--minutes", "0"]) == 0
    assert "the time ended before kills 1" in capsys.readouterr().out


def test_an_unknown_kind_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main([*words, "--kinds", "kill"])
    assert "no kind 'kill'; there are: kills, clock" in capsys.readouterr().err


def test_a_mishap_that_fails_itself_is_wrong(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(draw: Draw) -> Came:
        raise OSError("no such process")

    monkeypatch.setattr(program, "KINDS", {"kills": broken})
    assert program.main([*words, "--numbers", "1", "--kinds", "kills"]) == 1


def test_every_kind_says_what_it_does() -> None:
    assert all(kind.__doc__ for kind in kinds.KINDS.values())
