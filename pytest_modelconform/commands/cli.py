"""The `modelconform` command: a table of subcommands, each a module that is imported when it is asked for.

A subcommand's module has `add_arguments(parser)`, `run(arguments) -> int`, the exit status, and `EXAMPLES`: the end of
its help, with command lines that work and what the exit statuses mean. One with `PASSES_ON = True` gets the words that
it doesn't know as `arguments.rest`.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import platform
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ..terms.version import __version__
from ..terms.wording import fault_of_ours

# Name -> (module, what it does).
COMMANDS = {
    "badge": ("pytest_modelconform.commands.badge", "how much of a log passes, as SVG or for shields.io"),
    "blame": ("pytest_modelconform.commands.blame", "which operator a cell fails at, and a case file that shows it"),
    "cache": ("pytest_modelconform.commands.cache", "how large the cache is, and removing what was unused longest"),
    "cluster": ("pytest_modelconform.commands.cluster", "run the tests on the nodes of a Ray cluster"),
    "cmake-dir": ("pytest_modelconform.commands.cmake_dir", "print where the CMake package of the C++ library is"),
    "completion": (
        "pytest_modelconform.commands.completion",
        "print what bash, zsh or tcsh need to complete this command",
    ),
    "diff": (
        "pytest_modelconform.commands.diff",
        "what changed between two runs, by their logs; fails for regressions",
    ),
    "doctor": (
        "pytest_modelconform.commands.doctor",
        "all formats and runtimes: version, where, and why one isn't available",
    ),
    "env": ("pytest_modelconform.commands.env", "list, install and remove isolated environments"),
    "export": ("pytest_modelconform.commands.export", "store a case in a format, alone or with inputs and references"),
    "history": ("pytest_modelconform.commands.history", "a folder of logs as a page that shows the trend"),
    "merge": ("pytest_modelconform.commands.merge", "join the logs of a run's shards"),
    "new": ("pytest_modelconform.commands.new", "write a case file, with --cpp its model in C++, too"),
    "repro": ("pytest_modelconform.commands.repro", "a cell as files and a script for an upstream bug report"),
    "report": ("pytest_modelconform.commands.report", "a log as matrix, Markdown, JSON, CSV, JUnit or HTML"),
    "run": (
        "pytest_modelconform.commands.run",
        "execute an artifact in a runtime, on inputs of yours or its references",
    ),
    "update-expected": ("pytest_modelconform.commands.update_expected", "rewrite expected.toml to what a log says"),
}

# The order of the help. What is in no group is shown last.
GROUPS = {
    "begin": ("new", "doctor", "env", "cache", "completion"),
    "run the tests on several machines": ("cluster",),
    "take a model elsewhere": ("export", "run", "cmake-dir"),
    "after a failure": ("blame", "repro"),
    "read the logs of runs": ("report", "diff", "merge", "update-expected", "history", "badge"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit status. 2 for a wrong command line, as argparse has it."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="modelconform", usage="modelconform COMMAND …", epilog=_table())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    if not words or words[0] in ("-h", "--help"):
        parser.print_help()
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"modelconform {__version__} (Python {platform.python_version()})")
        return 0
    name = words[0]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        print(f"modelconform: unknown command {name!r}.{hint} Known commands: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    module = load(name)
    text = COMMANDS[name][1]
    command = _Parser(
        prog=f"modelconform {name}",
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"examples:\n{module.EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=not getattr(module, "PASSES_ON", False),
    )
    module.add_arguments(command)
    if getattr(module, "PASSES_ON", False):
        given, rest = command.parse_known_args(words[1:])
        given.rest = rest
    else:
        given = command.parse_args(words[1:])
    try:
        status: int = module.run(given)
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"modelconform {name}: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except Exception as error:
        print(f"modelconform {name}: {fault_of_ours(error)}", file=sys.stderr)
        return 3
    return status


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one sentence, and where all that it takes is listed."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse has it, with a sentence for what is too much."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            self.error(self._too_much(rest))
        return found

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"{self.prog}: {message}\nWhat it takes: {self.prog} --help\n")

    def _too_much(self, words: Sequence[str]) -> str:
        word = next((word for word in words if word.startswith("-")), words[0])
        if not word.startswith("-"):
            return f"unexpected argument {word!r}: leave it out, or quote a name that holds blanks"
        near = difflib.get_close_matches(word.partition("=")[0], self._option_string_actions, 1)
        hint = f". Did you mean {near[0]!r}?" if near else ""
        return f"unknown option {word!r}{hint}"


def load(name: str) -> Any:
    """The module of a subcommand in the table."""
    return importlib.import_module(COMMANDS[name][0])


def _table() -> str:
    width = max(map(len, COMMANDS))
    grouped = {name for names in GROUPS.values() for name in names}
    lines = []
    for title, names in {**GROUPS, "more": tuple(name for name in COMMANDS if name not in grouped)}.items():
        if names:
            lines += [f"{title}:", *(f"  {name:{width}}  {COMMANDS[name][1]}" for name in names), ""]
    return "\n".join(
        [
            *lines,
            "The tests themselves are pytest's: pytest --modelconform cases/",
            "modelconform COMMAND --help says more, with examples; modelconform --version prints the version.",
        ]
    )
