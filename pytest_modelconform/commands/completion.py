"""`modelconform completion`: what a shell needs to complete this command, as a script to be sourced.

The script is static: pressing TAB starts no Python.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

EXAMPLES = """\
  modelconform completion bash     for ~/.bashrc, as: eval "$(modelconform completion bash)"
  modelconform completion zsh      into a folder of $fpath, as _modelconform
  modelconform completion tcsh     for ~/.tcshrc

Print it again after an update: the script knows the options of the version that printed it.

exit status: 0; 2 for another shell."""

SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform completion`."""
    parser.add_argument("shell", choices=SHELLS, help="the shell to complete for")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    sys.stdout.write(script(arguments.shell) + "\n")
    return 0


def script(shell: str) -> str:
    """The script for a shell. Imports every subcommand's module, for its parser."""
    import shtab

    from . import cli

    whole = argparse.ArgumentParser(prog="modelconform", description="Which export of a model runs where.")
    whole.add_argument("--version", action="store_true", help="print the version")
    commands = whole.add_subparsers(metavar="COMMAND")
    for name, (_, text) in cli.COMMANDS.items():
        # As in a format string, argparse takes % for the beginning of a field.
        parser = commands.add_parser(name, help=text.replace("%", "%%"))
        cli.load(name).add_arguments(parser)
        _complete_values(parser, doctor=name == "doctor")
    done: str = shtab.complete(whole, shell, preamble=_PREAMBLE if shell == "bash" else "")
    return done


# Case files, and folders on the way to them.
_CASES = {"bash": "_modelconform_cases", "zsh": "_files -g '*.py'", "tcsh": "f:*.py"}
_PREAMBLE = """\
_modelconform_cases() {
  compgen -f -X '!*.py' -- "$1"
  compgen -d -S / -- "$1"
}
"""


def _complete_values(parser: argparse.ArgumentParser, doctor: bool) -> None:
    """Tell shtab which arguments are formats, runtimes, case files, folders and other files.

    The names are the built-in ones: what other packages register is known to a session of pytest only. doctor: whether
    the parser is `doctor`'s, whose names are both.
    """
    import shtab

    from ..formats.built_in import BUILT_IN as FORMATS
    from ..runtimes.built_in import BUILT_IN as RUNTIMES

    names = {"format": list(FORMATS), "runtime": list(RUNTIMES)}
    if doctor:
        names["names"] = list(dict.fromkeys([*FORMATS, *RUNTIMES]))
    for action in parser._actions:
        if action.choices is not None:
            continue
        if action.dest in names:
            action.choices = names[action.dest]
        elif action.dest in ("case", "cell") and not action.option_strings:
            action.complete = _CASES  # type: ignore[attr-defined]  # what shtab looks for
        elif "FOLDER" in str(action.metavar) or action.dest == "folder":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]  # what shtab looks for
        elif action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # what shtab looks for
