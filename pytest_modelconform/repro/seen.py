"""What was seen of a cell, in words: by a log or by a run, and with which versions."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from ..report import log
from ..runtimes.base import Runtime
from ..terms.cell import Cell
from ..terms.outcome import Outcome, Verdict
from .concern import Concern, Party
from .projects import Project


def last_outcome(cell: Cell, logs: Sequence[Path]) -> tuple[Outcome, Path] | None:
    """A cell's outcome in the newest of these logs that has it, and which that is. Unreadable logs are passed over."""
    for path in sorted(logs, key=lambda path: path.name, reverse=True):
        try:
            found = log.read(path)
        except (log.LogError, OSError):
            continue
        for other, outcome in found.cells:
            if other == cell:
                return outcome, path
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


def summary(outcome: Outcome) -> str:
    """Verdict, stage, message, and what is likely, in a few lines."""
    stage = f" at stage {outcome.stage.value}" if outcome.stage else ""
    message = f":\n{outcome.message}" if outcome.message else ""
    return f"{outcome.verdict.value}{stage}{message}"


def known(runtime: Runtime) -> str:
    """A runtime's package, with its version where that is known."""
    package = runtime.REQUIRES[0] if runtime.REQUIRES else runtime.PACKAGE
    installed = versions(runtime.REQUIRES[:1]) or (runtime.ENVIRONMENT.versions() if runtime.ENVIRONMENT else {})
    name = Requirement(package).name if runtime.REQUIRES else package
    return f"{name} {installed[name]}" if name in installed else name


def titled(
    cell: Cell, outcome: Outcome, found: Concern, projects: Sequence[Project], runtime: str, subject: str
) -> str:
    """The title of an issue. runtime: as `known` has it. subject: what is wrong."""
    wrong = any(entry["verdict"] == Verdict.MISMATCH.value for entry in outcome.inputs.values())
    what = {
        Verdict.MISMATCH: "wrong numbers",
        Verdict.IMPRECISE: "imprecise numbers",
        Verdict.CRASH: "crash",
        Verdict.TIMEOUT: "no answer in time",
        Verdict.OUT_OF_MEMORY: "out of memory",
        # Of several input sets, another may give the message.
        Verdict.ERROR: "wrong numbers" if wrong else f"error at {outcome.stage.value}" if outcome.stage else "error",
    }.get(outcome.verdict, "")
    if found.party in (Party.EXPORTER, Party.CONVERTER, Party.CAPTURE):
        return f"{projects[0]}: {what} from the export of {subject}"
    return f"{runtime}: {subject} in {cell.format}{f', {what}' if what else ''}"


def shortened(text: str, most: int = 8) -> str:
    """The first lines of a text, and how many more there are in the README."""
    lines = [line for line in text.splitlines() if line.strip()]
    more = [f"… {len(lines) - most} more lines in README.md"] if len(lines) > most else []
    return "\n".join([*lines[:most], *more])
