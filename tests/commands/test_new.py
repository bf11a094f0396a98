"""`modelconform new`: what it writes passes as it is, and nothing is overwritten."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from pytest_modelconform.building import harness
from pytest_modelconform.commands import new
from tests.support import runs, shared


def command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    new.add_arguments(parser)
    return new.run(parser.parse_args(words))


@pytest.mark.compiles
def test_a_case_with_its_source_passes_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if reason := harness.unavailable("frontend"):
        pytest.skip(reason)
    assert command("my_net", "--cpp", "--folder", str(tmp_path)) == 0
    case, source = tmp_path / "my_net.py", tmp_path / "my_net.cpp"
    assert capsys.readouterr().out == f"wrote {case} and {source}; run: pytest --modelconform {case}\n"
    runs.write(tmp_path, {})
    # Headers are precompiled once and not once a session.
    env = {"MODELCONFORM_CACHE": str(shared.CACHE)}
    run = runs.run(tmp_path, "--modelconform-formats=state-dict", runtimes="cpp-frontend", env=env, seconds=1200)
    assert run.status == 0, run.stdout
    verdicts = {name: cell["verdict"] for name, cell in run.cells.items()}
    assert verdicts == {"my_net[eager]": "pass", "my_net[state_dict-cpp_frontend-cpu]": "pass"}


@pytest.mark.compiles
def test_a_case_alone_passes_as_it_is(tmp_path: Path) -> None:
    # A name that the template uses for something else.
    assert command("case", "--folder", str(tmp_path)) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["case.py"]
    runs.write(tmp_path, {})
    run = runs.run(tmp_path, runtimes="torch")
    assert run.status == 0, run.stdout
    assert run.verdict("case[torchscript_trace-torch-cpu]") == ("pass", None)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("my-net", "'my-net' can't name a case. Use letters, digits and '_', and begin with a letter: my_net"),
        ("../net", "'../net' can't name a case. Use letters, digits and '_', and begin with a letter: net"),
        ("50net", "'50net' can't name a case. Use letters, digits and '_', and begin with a letter: net"),
        ("class", "'class' can't name a case: it is a word of Python's. Choose another name, such as class_net."),
        ("", "'' can't name a case. Use letters, digits and '_', and begin with a letter: my_net"),
        (
            "test_net",
            "test_net.py would not be collected: conftest.py and files that begin with '_' or 'test_' hold no cases. "
            "Choose another name.",
        ),
    ],
)
def test_names_that_are_refused(name: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(name, "--folder", str(tmp_path)) == 1
    assert capsys.readouterr().err == f"modelconform new: {fault}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("taken", ["net.py", "net.cpp"])
def test_nothing_is_overwritten(taken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / taken).write_text("mine")
    assert command("net", "--cpp", "--folder", str(tmp_path)) == 1
    path = tmp_path / taken
    said = f"modelconform new: {path} already exists and is not overwritten. Choose another name.\n"
    assert capsys.readouterr().err == said
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "none"
    assert command("net", "--folder", str(folder)) == 1
    assert capsys.readouterr().err == f"modelconform new: The folder {folder} doesn't exist. Create it first.\n"
