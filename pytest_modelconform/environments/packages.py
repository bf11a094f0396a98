"""Packages of the main environment: which are there, and what to do where one is missing."""

from __future__ import annotations

import functools
import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from .. import environments

if TYPE_CHECKING:
    from . import Environment


def unreadable_requirement(requires: Sequence[str]) -> str:
    """What is wrong with the first requirement that pip could not read, and the remedy; "" if there is none."""
    unreadable = next((text for text in requires if _read(text) is None), None)
    return "" if unreadable is None else f"{unreadable!r} is not a package as pip names it: write it like 'name>=1.2'"


def check_requires(requires: Sequence[str], module: str) -> None:
    """Raises TypeError for a requirement that pip could not read, naming the module."""
    if fault := unreadable_requirement(requires):
        raise TypeError(f"{module}: REQUIRES: {fault}")


def _read(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def missing_packages(requires: Sequence[str]) -> str | None:
    """None if all packages are installed in the wanted versions, else a sentence with the pip command."""
    return _missing(tuple(requires), tuple((folder, _changed(folder)) for folder in sys.path))


def _changed(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0


@functools.lru_cache(maxsize=256)
def _missing(requires: Sequence[str], path: Sequence[tuple[str, int]]) -> str | None:
    """The same, while no folder of the path changes: hundreds of cells ask for the same few packages."""
    missing = []
    for text in requires:
        requirement = _read(text)
        if requirement is None:
            continue  # Another check has a message for it.
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(text)
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            missing.append(text)
    if not missing:
        return None
    return f"needs {', '.join(missing)}: pip install {_quoted(missing)}"


def _quoted(requires: Sequence[str]) -> str:
    """As a shell takes them."""
    return " ".join(f"'{name}'" if set("<>=!~ ;[") & set(name) else name for name in requires)


def missing_of_case(requires: Sequence[str]) -> str | None:
    """The same of a case's packages. Many pin the torch of their year, and pip alone would install that one.

    So the command keeps the torch that is there: then pip refuses, and the other command installs them beside it.
    """
    missing = missing_packages(requires)
    try:
        torch = Version(importlib.metadata.version("torch")).public
    except (importlib.metadata.PackageNotFoundError, InvalidVersion):
        return missing
    named = {canonicalize_name(requirement.name) for text in requires if (requirement := _read(text))}
    if not missing or "torch" in named:
        return missing
    alone = missing.partition(": pip install ")[2]
    return f"{missing} torch=={torch}; if pip finds a conflict: pip install --no-deps {alone}"


def lacking(requires: Sequence[str], environment: Environment | None) -> str | None:
    """None if the packages are installed and the environment can be had, else a sentence that says what to do."""
    return missing_packages(requires) or (environments.unavailable(environment) if environment else None)
