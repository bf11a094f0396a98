"""The commands on the pages: each program is there, and takes the options that it is given."""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from packaging.requirements import Requirement

from pytest_modelconform.commands import cli
from tests.support import documents
from tests.support.documents import PAGES, REPOSITORY, Block

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
SHELL = [block for block in documents.all_blocks() if block.kind == "sh" and not block.reason]
# What commands may start besides what is looked at below; `build/…` is what CMake has built.
PROGRAMS = {"cd", "git", "cmake", "eval", "ruff", "mypy", "lint-imports", *PROJECT["scripts"]}


@pytest.fixture
def options(pytestconfig: pytest.Config) -> Collection[str]:
    """All options of pytest, with those of this package and of xdist: as of the run that this is."""
    parser = pytestconfig._parser
    groups = [parser._anonymous, *parser._groups]
    return {name for group in groups for option in group.options for name in option.names()}


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.where)
def test_commands_exist_and_take_their_options(block: Block, options: Collection[str]) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True, timeout=60)
    for words in documents.commands(block.text):
        look_at(words, options)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_text_do_too(page: Path, options: Collection[str]) -> None:
    for text in documents.inline(page):
        if re.fullmatch(r"(modelconform|pytest|pip|python3?) [^…]+", text):
            for words in documents.commands(text):
                look_at(words, options)


def look_at(words: Sequence[str], options: Collection[str] = ()) -> None:
    """Parse a command as it would be. options: pytest's. Raises AssertionError, naming the command."""
    said = " ".join(words)
    for inner in re.findall(r"\$\((.+?)\)", said):
        look_at(inner.split(), options)
    words = [word for word in re.sub(r"\$\(.+?\)", "", said).split() if word] if "$(" in said else list(words)
    program = words[0].rpartition("/")[2] if words[0].startswith(".venv/bin/") else words[0]
    if re.fullmatch(r"python3?", program):
        if words[1] == "-m" and words[2] in ("pytest", "pip"):
            program, words = words[2], words[2:]
        else:
            return look_at_python(words, said)
    if program in (".ci/matrix", ".ci/gpu"):
        return look_at_python(["python", "-m", f"benchmarks.{program.rpartition('/')[2]}", *words[1:]], said)
    if program == "modelconform":
        look_at_ours(words, said, options)
    elif program == "pytest":
        look_at_pytest(words, said, options)
    elif program == "pip":
        look_at_pip(words, said)
    else:
        assert program in PROGRAMS or program.startswith("build/"), f"unknown program in `{said}`"
    return None


def look_at_ours(words: Sequence[str], said: str, options: Collection[str]) -> None:
    if len(words) == 1 or words[1] == "COMMAND" or words[1].startswith("-"):
        return
    assert words[1] in cli.COMMANDS, f"`{said}`: no command {words[1]}"
    module = cli.load(words[1])
    parser = Strict(prog=said)
    module.add_arguments(parser)
    # A name alone is a command that the text speaks of.
    if len(words) > 2 and getattr(module, "PASSES_ON", False):
        _, rest = parser.parse_known_args(words[2:])
        look_at_pytest(["pytest", *rest], said, options)
    elif len(words) > 2:
        parser.parse_args(words[2:])


class Strict(argparse.ArgumentParser):
    """A parser that raises what it would say before it exits."""

    def error(self, message: str) -> NoReturn:
        raise AssertionError(f"`{self.prog}`: {message}")


def look_at_pytest(words: Sequence[str], said: str, known: Collection[str]) -> None:
    for word in words[1:]:
        option = word.partition("=")[0]
        if option.startswith("-") and not re.fullmatch(r"-\d+", option):
            assert option in known, f"`{said}`: pytest has no option {option}"


def look_at_pip(words: Sequence[str], said: str) -> None:
    rest = iter(words[2:] if words[1:2] == ["install"] else ())
    for word in rest:
        if word == "-c":
            assert Path(next(rest)).name == "constraints.txt", said
        elif word.startswith(("..", ".[")) or word == ".":
            extras = re.search(r"\[(.+)\]", word)
            known = PROJECT["optional-dependencies"]
            assert set(extras[1].split(",") if extras else ()) <= set(known), said
        elif not word.startswith(("-", "$")):
            Requirement(word)


def look_at_python(words: Sequence[str], said: str) -> None:
    target = words[2] if words[1] == "-m" else words[1]
    if words[1] == "-m":
        spec = importlib.util.find_spec(target)
        assert spec is not None, f"`{said}`: no module {target}"
        source = spec.origin if not target.startswith("benchmarks") or not spec.submodule_search_locations else None
        path = Path(source) if source else Path(str(spec.origin)).with_name("__main__.py")
    else:
        path = REPOSITORY / target
        assert path.exists(), f"`{said}`: no file {target}"
    if target.startswith("benchmarks"):
        for option in [word for word in words if word.startswith("--")]:
            assert f'"{option}"' in path.read_text(), f"`{said}`: {target} has no option {option}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("modelconform exprot net.py", "exprot"),
        ("modelconform export net.py --formt onnx", "--formt"),
        ("cd x && .venv/bin/pytest --modelconform-formts onnx", "--modelconform-formts"),
        ("python -m benchmarks.nothing", "no module"),
        ("python docs/nothing.py | modelconform merge a.jsonl", "no file"),
        ("pip install -e '.[al]'", "al"),
        ("frobnicate", "unknown program"),
        ("cmake -S x $(modelconform cmake-dir --whit ort)", "--whit"),
    ],
)
def test_a_wrong_command_is_seen(text: str, fault: str, options: Collection[str]) -> None:
    # Else none of the above could fail.
    def look() -> None:
        for words in documents.commands(text):
            look_at(words, options)

    with pytest.raises(AssertionError, match=fault):
        look()


def test_the_readme_begins_with_a_project_of_ones_own_and_has_the_two_commands_of_a_clone() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    assert readme.index("## In your own project") < readme.index("## In a clone") < readme.index("## A case is a file")
    install = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e"
    assert f"\n{install} '.[all]' && .venv/bin/pytest --modelconform cases/\n" in readme
    # .ci/run takes the first line that has "pytest tests/".
    [line] = [line for line in readme.splitlines() if "pytest tests/" in line]
    assert line == f"{install} '.[dev]' && .venv/bin/pytest tests/"
