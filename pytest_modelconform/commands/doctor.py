"""`modelconform doctor`: all formats and runtimes, in which version, where, and whether they are there.

Imports no framework: versions are those of installed packages, and of what environments pin.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.metadata
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from .. import environments
from ..environments import Environment
from ..formats import base as format_base
from ..formats.base import Format
from ..runtimes.base import Runtime
from ..terms import devices
from . import pytest_session

if TYPE_CHECKING:
    from ..plugin.run import Run

EXAMPLES = """\
  modelconform doctor
  modelconform doctor onnx ort-cpp      these alone; fails where one is not available

exit status: 0; 1 if something that was named is not available; 2 for a name that nothing has."""


@dataclass(frozen=True)
class Row:
    """A line of the table. reason: why it isn't available and what to do, or what else there is to know."""

    kind: str
    name: str
    version: str
    where: str
    available: bool
    reason: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform doctor`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="formats and runtimes; all if none is named")


def run(arguments: argparse.Namespace) -> int:
    """Exit status: 0, 1 if something that was named is not available, 2 for a name that nothing has."""
    return pytest_session.session("doctor", lambda run: _print(run, arguments.names))


def _print(run: Run, names: Sequence[str]) -> int:
    rows = table(run)
    for fault in run.machinery.registry.faults:
        print(f"modelconform doctor: {fault}", file=sys.stderr)
    strange = [name for name in names if name not in {row.name for row in rows}]
    if strange:
        print(
            f"modelconform doctor: unknown format or runtime {strange[0]!r}.{_known(rows, strange[0])}", file=sys.stderr
        )
        return 2
    shown = [row for row in rows if not names or row.name in names]
    for line in lines(shown):
        print(line)
    return 1 if names and not all(row.available for row in shown) else 0


def _known(rows: Iterable[Row], name: str) -> str:
    known = list(dict.fromkeys(row.name for row in rows))
    near = difflib.get_close_matches(name, known, 1)
    return f"{f' Did you mean {near[0]!r}?' if near else ''} Known: {', '.join(known)}"


def lines(rows: Sequence[Row]) -> list[str]:
    """The table as text: formats, then runtimes."""
    widths = [max(len(getattr(row, field)) for row in rows) for field in ("name", "version", "where")]
    found: list[str] = []
    for kind in dict.fromkeys(row.kind for row in rows):
        found += [*([""] if found else []), f"{kind}s"]
        for row in rows:
            if row.kind == kind:
                cells = (row.name, row.version, row.where)
                aligned = "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True))
                found.append(f"  {'yes' if row.available else 'no ':3}  {aligned}  {row.reason}".rstrip())
    return found


def table(run: Run) -> list[Row]:
    """A row for each format, then each runtime, in the order of registration."""
    registry, cache = run.machinery.registry, run.settings.cache
    found = []
    for name in registry.formats:
        module: Any = registry.format(name)
        reason = next(
            filter(None, (format_base.unavailable(registry.format(n)) for n in registry.made_through(name))), ""
        )
        source = f"from {module.FROM}" if module.FROM else ""
        found.append(_row("format", module, reason, source, cache))
    for name in registry.runtimes:
        module = registry.runtime(name)
        reason, here = "", []
        for device in module.DEVICES:
            why = module.unavailable(device) or devices.lacking(device)
            reason = reason or (why or "")
            here += [] if why else [device]
        others = [device for device in module.DEVICES if device not in here]
        note = f"not on {', '.join(others)}" if here and others else ""
        found.append(_row("runtime", module, "" if here else reason, note, cache))
    return found


def _row(kind: str, module: Format | Runtime, reason: str, note: str, cache: Path) -> Row:
    environment = module.ENVIRONMENT
    if environment is None:
        # PyTorch makes them all; what is special to one says more.
        versions = {name: v for name in module.REQUIRES if (v := _version(name))}
        version = next((v for name, v in versions.items() if name != "torch"), versions.get("torch", ""))
        where = "C++" if isinstance(module, Runtime) and module.ENGINE else "here"
        return Row(kind, module.NAME, version, where, not reason, reason or note)
    version = _pinned(environment, module.PACKAGE if isinstance(module, Runtime) else module.NAME)
    if not reason and not environments.is_complete(environments.path_of(environment, cache)):
        note = f"{note}{'; ' if note else ''}installed on first use, or by: modelconform env install {environment.name}"
    return Row(kind, module.NAME, version, f"env {environment.name}", not reason, reason or note)


def _pinned(environment: Environment, name: str) -> str:
    """The version of the package of that name, which may be the format's or runtime's own, or else of the first."""
    pins = environment.versions()
    return pins.get(name) or next(iter(pins.values()), "")


def _version(text: str) -> str:
    try:
        return importlib.metadata.version(Requirement(text).name)
    except importlib.metadata.PackageNotFoundError:
        return ""
