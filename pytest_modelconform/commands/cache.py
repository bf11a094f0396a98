"""`modelconform cache show | prune`: what the cache takes on the disk, and removing what was unused longest."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ..cache import inventory
from ..cache.inventory import Entry
from . import pytest_session

if TYPE_CHECKING:
    from ..plugin.run import Run

EXAMPLES = """\
  modelconform cache show
  modelconform cache prune --older 30d
  modelconform cache prune --max 20GB --dry-run

exit status: 0; 1 where something could not be removed; 2 for a limit that can't be read."""

_SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_BYTES = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform cache`."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="show | prune")
    commands.add_parser("show", help="what is in the cache, how large it is and when it was last used")
    prune = commands.add_parser("prune", help="remove what was unused longest; never what a running session uses")
    prune.add_argument("--older", type=_age, metavar="AGE", help="what was not used for so long: 12h, 30d or 8w")
    prune.add_argument(
        "--max", type=_amount, metavar="SIZE", help="then what was unused longest, until SIZE is left: 20GB, 500MB"
    )
    prune.add_argument("--dry-run", action="store_true", help="say what would be removed, and remove nothing")
    parser.set_defaults(parser=parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit status: 0, 1 where something could not be removed, 2 without a limit."""
    if arguments.action == "prune" and arguments.older is None and arguments.max is None:
        arguments.parser.error("prune needs --older AGE, --max SIZE or both, for example --older 30d --max 20GB")
    return pytest_session.session("cache", lambda run: _ACTIONS[arguments.action](run, arguments))


def _age(text: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([hdw])", text.strip().lower())
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age: write hours, days or weeks as 12h, 30d or 8w")
    return float(match[1]) * _SECONDS[match[2]]


def _amount(text: str) -> int:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([kmgt]i?b)", text.strip().lower())
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write it as 500MB, 20GB or 16GiB")
    return int(float(match[1]) * _BYTES[match[2].upper()])


def _show(run: Run, arguments: argparse.Namespace) -> int:
    found = inventory.entries(run.settings.cache)
    now = time.time()
    print(f"{run.settings.cache}: {size(inventory.total(found))}")
    rows = [("kind", "entries", "size", "last used", "unused for up to")]
    for kind, group in groupby(sorted(found, key=lambda entry: entry.kind), key=lambda entry: entry.kind):
        them = list(group)
        used = [entry.used for entry in them]
        rows.append((kind, str(len(them)), size(inventory.total(them)), ago(now - max(used)), span(now - min(used))))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows if found else ():
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _prune(run: Run, arguments: argparse.Namespace) -> int:
    came = inventory.prune(run.settings.cache, arguments.older, arguments.max, dry=arguments.dry_run)
    verb = "would remove" if arguments.dry_run else "removed"
    now = time.time()
    for entry in came.removed if arguments.dry_run else ():
        print(f"{entry.kind}: {entry.path.name}  {size(entry.bytes)}  used {ago(now - entry.used)}")
    left = inventory.total(inventory.entries(run.settings.cache))
    left -= inventory.total(came.removed) if arguments.dry_run else 0
    print(f"{verb} {_entries(came.removed)}, {size(inventory.total(came.removed))}; {size(left)} left")
    if came.in_use:
        print(f"kept {_entries(came.in_use)}, {size(inventory.total(came.in_use))}: a running session may use them")
    if arguments.max is not None and left > arguments.max and not came.in_use:
        print(f"more than {size(arguments.max)} is left, since it could not be removed")
    for line in came.failed:
        print(f"could not remove {line}")
    return 1 if came.failed else 0


def _entries(them: Sequence[Entry]) -> str:
    return "1 entry" if len(them) == 1 else f"{len(them)} entries"


def size(count: int) -> str:
    """Bytes in words: 936 MB."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}" if count < 999.5 * factor else f"{count / factor:.0f} {unit}"
    return f"{count} bytes"


def span(seconds: float) -> str:
    """Seconds in words: 12 days."""
    for unit, factor in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= factor:
            count = int(seconds // factor)
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return "a moment"


def ago(seconds: float) -> str:
    """The same, before now."""
    return f"{span(seconds)} ago"


_ACTIONS = {"show": _show, "prune": _prune}
