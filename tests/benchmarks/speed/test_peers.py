"""The cells that peers are compared on, and the command line."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from benchmarks.speed import __main__ as speed
from benchmarks.speed import beside, peers
from benchmarks.speed.measuring import Failed
from benchmarks.speed.runs import NEW_FILE, Runs
from pytest_modelconform.cells.case_files import is_case_file, static_cases
from pytest_modelconform.cells.registry import Registry, register_built_in


def test_case_files_that_are_written_are_some(tmp_path: Path) -> None:
    written = {"peers": peers.case_file(peers.MODELS), "new": NEW_FILE.format(number=1.5)}
    found = {}
    for name, text in written.items():
        file = tmp_path / f"{name}.py"
        file.write_text(text)
        compile(text, str(file), "exec")
        assert is_case_file(file)
        found[name] = [case.name for case in static_cases(file)]
    assert found == {"peers": [f"{m}_{s}" for m in peers.MODELS for s in peers.SIZES], "new": ["net"]}


def test_what_is_not_installed_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    rows = beside.peers(["executorch", "polygraphy"], peers.Peers(["resnet50"], 1, []))
    assert [(row.value, row.note) for row in rows] == [
        (None, "ExecuTorch is not here: pip install executorch"),
        (None, "Polygraphy is not here: pip install polygraphy"),
    ]


def test_a_first_run_needs_an_empty_cache(tmp_path: Path) -> None:
    registry = Registry()
    register_built_in(registry)
    (tmp_path / "cache" / "artifacts").mkdir(parents=True)
    with pytest.raises(Failed, match="is from an earlier run: name another --folder"):
        Runs(registry, tmp_path, ["cases"], [], None).first()


@pytest.mark.parametrize(("words", "parts"), [([], list(speed.PARTS)), (["--only", "peers,first"], ["first", "peers"])])
def test_parts_are_chosen(words: list[str], parts: list[str]) -> None:
    assert speed.parser().parse_args(words).only == parts


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        speed.parser().parse_args(["--only", "first,third"])
    assert "third: name some of first, second, file, overhead, plain, peers" in capsys.readouterr().err
