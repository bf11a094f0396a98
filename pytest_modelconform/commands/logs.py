"""What the commands on logs share: reading one, writing a text, and how faults are said."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..report import places
from ..report.log import Log, LogError, read


class Refused(Exception):
    """Ends a command with exit status 2. The message says why."""


def load(path: Path) -> Log:
    """A log. Raises Refused for a file that is none."""
    try:
        return read(path)
    except LogError as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or error}") from error


def emit(text: str, path: Path | None) -> None:
    """Write a text to a file, or to stdout. Raises Refused where that can't be."""
    if path is not None:
        if fault := places.fault_of_file(path):
            raise Refused(fault)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # As it is: what line ends a format has is the renderer's business.
            path.write_bytes(text.encode("utf-8", "replace"))
        except OSError as error:
            raise Refused(f"{path} could not be written: {places.why(error)}") from error
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has seen enough (`| head`). Python flushes again at its end, into nothing then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def refuse(command: str, error: Refused) -> int:
    """Say why a command can't do what it was asked for; returns the exit status."""
    print(f"modelconform {command}: {error}", file=sys.stderr)
    return 2
