"""What the last run said of a cell, and the README of a repro: text for an upstream bug report."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from ..report import log
from ..terms.cell import Cell
from ..terms.outcome import Outcome


def last_outcome(cell: Cell, logs: Sequence[Path]) -> Outcome | None:
    """The outcome of a cell in the newest of these logs that has it. Logs that can't be read are passed over."""
    for path in sorted(logs, key=lambda path: path.name, reverse=True):
        try:
            found = log.read(path)
        except (log.LogError, OSError):
            continue
        for other, outcome in found.cells:
            if other == cell:
                return outcome
    return None


def versions(requires: Sequence[str]) -> dict[str, str]:
    """Installed versions of packages, as pip asks for them; those that aren't installed are left out."""
    found = {}
    for text in requires:
        name = Requirement(text).name
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        try:
            found[name] = Version(version).public  # what a local build is called, no index knows
        except InvalidVersion:
            found[name] = version
    return found


def summary(outcome: Outcome | None, otherwise: str = "") -> str:
    """Verdict, stage and message in a few lines."""
    if outcome is None:
        return otherwise
    stage = f" at stage {outcome.stage.value}" if outcome.stage else ""
    message = f":\n{outcome.message}" if outcome.message else ""
    return f"{outcome.verdict.value}{stage}{message}"


def readme(
    cell: Cell,
    what: str,
    expected: str,
    seen: str,
    packages: dict[str, str],
    files: Sequence[str],
    command: str,
    note: str = "",
) -> str:
    """The README in Markdown. command: "" where there is no script. note: on the script."""
    pins = " ".join(f"{name}=={version}" for name, version in packages.items())
    if command:
        exits = f"It exits with status 1 where the failure shows, else with 0. {note}".rstrip()
        how = f"```\npip install {pins}\n{command}\n```\n\n{exits}"
    else:
        how = f"There is no script for this one: the files are here to write one with.\n\n```\npip install {pins}\n```"
    said = seen or "No run of this cell is on record."
    fence = "`" * max(3, *(len(run) + 1 for run in _runs(said)))
    parts = [
        f"# {what}",
        f"## To reproduce\n\n{how}",
        f"## Expected\n\n{expected}",
        f"## Seen\n\n{fence}\n{said}\n{fence}",
        "## Versions\n\n"
        + "\n".join(f"- {name} {version}" for name, version in packages.items())
        + f"\n- Python {platform.python_version()}, {platform.platform()}, {platform.machine()}",
        "## Files\n\n" + "\n".join(f"- `{name}`" for name in files),
        f"Found with pytest-modelconform as `{cell.id}`.",
    ]
    return "\n\n".join(parts) + "\n"


def _runs(text: str) -> list[str]:
    """Runs of backquotes, so that a fence can be longer."""
    return ["", *("`" * n for n in range(1, 20) if "`" * n in text)]
