from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_modelconform.report import places


def test_a_file_that_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text("{}")
    for path in (kept, tmp_path / "new.json", tmp_path / "new" / "folder" / "new.json", Path(os.devnull)):
        assert places.fault_of_file(path) == ""
    assert (kept.read_text(), [path.name for path in tmp_path.iterdir()]) == ("{}", ["kept.json"])
    assert places.fault_of_folder(tmp_path) == places.fault_of_folder(tmp_path / "new" / "folder") == ""
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert places.fault_of_file(tmp_path / "pipe") == ""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("folder", "folder is a folder: name a file in it"),
        ("file/report.html", "file is a file, not a folder; choose another place"),
        ("file/deep/report.html", "file is a file, not a folder"),
        ("x" * 300, "can't be written: File name too long"),
        ("nul\0", "null"),
    ],
)
def test_one_that_can_not_be_written_is_said_in_a_line(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    fault = places.fault_of_file(tmp_path / name)
    assert says in fault
    assert "\n" not in fault
    assert "file is a file, not a folder; choose another folder" in places.fault_of_folder(tmp_path / "file")


def test_what_only_trying_shows() -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("a file system that refuses root, too")
    assert places.fault_of_file(Path("/proc/x.pt")).startswith("/proc/x.pt can't be written: no file can be created")


def test_two_options_for_one_file(tmp_path: Path) -> None:
    one = {"--a": tmp_path / "x", "--b": tmp_path / "y", "--c": tmp_path / "z" / ".." / "x"}
    assert places.fault_of_any(one).startswith("--c and --a name the same file, ")
    assert places.fault_of_any({"--a": Path(os.devnull), "--b": Path(os.devnull)}) == ""
    assert places.fault_of_any({"--a": tmp_path, "--b": tmp_path}).startswith(f"--a: {tmp_path} is a folder")
