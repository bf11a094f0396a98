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

Print it anew after an update: the script knows the options of the version that printed it.

exit status: 0; 2 for a shell that is none of these."""

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
    commands = whole.add_subparsers(metavar="COMMAND")
    for name, (_, text) in cli.COMMANDS.items():
        # As in a format string, argparse takes % for the beginning of a field.
        parser = commands.add_parser(name, help=text.replace("%", "%%"))
        cli.load(name).add_arguments(parser)
        _name_files(parser)
    done: str = shtab.complete(whole, shell)
    return done


def _name_files(parser: argparse.ArgumentParser) -> None:
    """Tell shtab which arguments are files: those that are paths, and case files, which may have a name behind them."""
    import shtab

    for action in parser._actions:
        if action.choices is not None:
            continue
        if "FOLDER" in str(action.metavar) or action.dest == "folder":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]  # what shtab looks for
        elif action.type is Path or "CASE.py" in str(action.metavar):
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # what shtab looks for
