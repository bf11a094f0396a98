from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.commands import case_argument, cli

CASE = "from pytest_modelconform import Case\n"


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("net.py", "net.py"),
        ("../other.py", "../other.py"),
        # As a report names it, from the root.
        ("cases/deep/net.py", "net.py"),
        ("cases/other.py", "../other.py"),
        ("nowhere.py", "nowhere.py"),
        ("/nowhere.py", "/nowhere.py"),
    ],
)
def test_a_case_file_is_looked_for_here_and_above(
    named: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cases" / "deep"
    folder.mkdir(parents=True)
    for path in (folder / "net.py", folder.parent / "other.py"):
        path.write_text(CASE)
    monkeypatch.chdir(folder)
    assert case_argument.located(named) == found


@pytest.mark.parametrize(
    "line",
    [
        ["repro", "cases/net.py::net[no-such-cell]", "-o", "out"],
        ["export", "cases/net.py", "--format", "no-such-format", "-o", "net.pt"],
    ],
)
def test_commands_on_cases_find_them_in_a_folder_below_the_root(
    line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    # Not imported: its package is missing.
    text = CASE + "net = Case(model=None, inputs={}, requires=('no_such_package',))\n"
    (tmp_path / "cases" / "net.py").write_text(text)
    monkeypatch.chdir(tmp_path / "cases")
    assert cli.main(line) == 2
    err = capsys.readouterr().err
    assert "case 'net' needs no_such_package" in err or "no-such-format" in err
