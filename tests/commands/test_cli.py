"""The `modelconform` command: its table, and what it says to a command line that makes no sense."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import subprocess
import sys

import pytest

from pytest_modelconform.commands import cli
from pytest_modelconform.terms.version import __version__


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    for name, (_, text) in cli.COMMANDS.items():
        assert f"  {name} " in out
        assert text in out


def test_without_a_command_the_help_is_shown_and_that_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "COMMAND --help" in capsys.readouterr().out


def test_an_unknown_command_is_named_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["exprot"]) == 2
    err = capsys.readouterr().err
    known = ", ".join(cli.COMMANDS)
    assert err == f"modelconform: unknown command 'exprot'. Did you mean 'export'? Known commands: {known}\n"


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("--version", "-V"):
        assert cli.main([word]) == 0
        out = capsys.readouterr().out
        assert re.fullmatch(rf"modelconform {re.escape(__version__)} \(Python 3\.\d+\.\d+\S*\)\n", out)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["diff", "a", "b", "c"], "modelconform diff: unexpected argument 'c': leave it out"),
        (
            ["report", "a", "--fromat", "csv"],
            "modelconform report: unknown option '--fromat'. Did you mean '--form",
        ),
        (["report", "a", "--zzz"], "modelconform report: unknown option '--zzz'\n"),
        (["report", "a", "--format", "pdf"], "modelconform report: argument --format: invalid choice: 'pdf'"),
        (["merge", "a"], "modelconform merge: the following arguments are required: -o/--output"),
        (["env", "list", "more"], "modelconform env: unexpected argument 'more'"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(line: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(line)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(says)
    assert err.endswith(" --help\n")
    assert len(err.splitlines()) == 2


def test_every_command_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in lines if line[:2] == "  " and line.split()[0] in cli.COMMANDS) == sorted(
        cli.COMMANDS
    )
    assert {name for names in cli.GROUPS.values() for name in names} <= set(cli.COMMANDS)


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_a_commands_help_ends_with_examples_that_parse_and_exit_statuses(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = cli.load(name)
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    help_text = capsys.readouterr().out
    # As written: no line is wrapped.
    assert help_text.endswith(f"examples:\n{module.EXAMPLES}\n")
    assert "exit status: 0" in module.EXAMPLES
    begin = f"  modelconform {name} "
    # What explains an example is three spaces or more behind it.
    lines = [re.split(r" {3,}", line.strip())[0] for line in module.EXAMPLES.splitlines() if line.startswith(begin)]
    assert lines
    assert max(map(len, module.EXAMPLES.splitlines())) <= 100
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    # pytest's own words, where a command hands them on.
    parse = parser.parse_known_args if getattr(module, "PASSES_ON", False) else parser.parse_args
    for line in lines:
        parse(shlex.split(line)[2:])


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_a_command_has_arguments_and_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(cli.COMMANDS[name][0])
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    assert callable(module.run)
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: modelconform {name}" in capsys.readouterr().out


def test_a_command_imports_only_its_own_module() -> None:
    code = (
        "import sys\nfrom pytest_modelconform.commands.cli import main\nmain(['--help'])\n"
        "assert not {'torch', 'numpy', 'pytest', 'pytest_modelconform.building.harness'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_package_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest_modelconform", "cmake-dir", "--sources"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.rstrip("\n").endswith("cpp")
