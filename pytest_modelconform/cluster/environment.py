"""What results of a machine depend on, and how two machines differ in it: such results belong in no common log."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cache import fingerprint
from ..terms.version import __version__

# Differences that are named.
_MOST = 4
# Of `Facts`, those that are compared one by one, with a word for each.
_NAMED = {
    "python": "Python",
    "folder": "Python's folder",
    "plugin": "pytest-modelconform",
    "processor": "the processor",
    "platform": "the system",
}


@dataclass(frozen=True)
class Facts:
    """Of a machine. plugin: version, and a hash of its sources. packages: versions of all that is installed, by name.

    fingerprint: as in the keys of the cache, which covers variables and instruction sets, too.
    """

    python: str
    folder: str
    plugin: str
    processor: str
    platform: str
    packages: Mapping[str, str]
    fingerprint: str


def facts() -> Facts:
    """Those of this process."""
    return Facts(
        python=platform.python_version(),
        folder=sys.prefix,
        plugin=f"{__version__} ({_sources()[:8]})",
        processor=fingerprint.processor(),
        platform=platform.platform(),
        packages=_packages(),
        fingerprint=fingerprint.fingerprint(),
    )


def differences(expected: Facts, found: Facts) -> Sequence[str]:
    """In what an environment is not the expected one, a few words each; none where results may stand side by side."""
    said = [
        f"{word} is {getattr(found, name)} instead of {getattr(expected, name)}"
        for name, word in _NAMED.items()
        if getattr(found, name) != getattr(expected, name)
    ]
    for name in sorted({*expected.packages, *found.packages}):
        here, there = expected.packages.get(name), found.packages.get(name)
        if here != there:
            said.append(f"{name} is {there or 'missing'} instead of {here or 'missing'}")
    if not said and expected.fingerprint != found.fingerprint:
        said.append("its instruction sets or its variables are others")
    return said if len(said) <= _MOST else [*said[:_MOST], f"{len(said) - _MOST} more differ"]


def variables() -> Mapping[str, str]:
    """Of this process's environment, those that results depend on."""
    return {name: value for name, value in os.environ.items() if is_variable(name)}


def is_variable(name: str) -> bool:
    """Whether results depend on an environment variable."""
    return name.startswith(fingerprint.PREFIXES)


@functools.cache
def _packages() -> Mapping[str, str]:
    found: dict[str, str] = {}
    # A package may put its own copies of others on the path once it is imported (setuptools, Ray): nothing is installed
    # by that, and whether one process did so says nothing of the machine.
    installed = [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")]
    path = [folder for folder in sys.path if not any(above in installed for above in Path(folder).parents)]
    for distribution in importlib.metadata.distributions(path=path):
        # One whose metadata is broken has no name.
        name: str | None = distribution.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-"), distribution.version)
    return found


@functools.cache
def _sources() -> str:
    """Of all our modules: those that run cells are in no key of the cache."""
    here = Path(__file__).resolve().parents[1]
    return fingerprint.hash_of([fingerprint.hash_file(path) for path in sorted(here.rglob("*.py"))])
