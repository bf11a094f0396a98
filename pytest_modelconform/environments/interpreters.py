"""Where other Pythons are: for environments of frameworks that need an older one. Imports nothing that costs time."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# What an interpreter says of itself; one without venv or ensurepip (Debian splits them off) makes no environments.
_QUESTION = "import sys, venv, ensurepip; print('%d.%d.%d' % sys.version_info[:3])"
_SECONDS = 20.0


@dataclass(frozen=True)
class Interpreter:
    """A Python that can make virtual environments. version: three numbers, as "3.8.18"."""

    path: str
    version: str


def running() -> str:
    """The version of this interpreter, as environments name one: "3.11"."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def variable(version: str) -> str:
    """The environment variable that gives a path for a version: MODELCONFORM_PYTHON_3_8."""
    return f"MODELCONFORM_PYTHON_{version.replace('.', '_')}"


@functools.cache
def find(version: str) -> Interpreter | None:
    """An interpreter of a version ("3.8"; "" for the running one's), or None. Costs up to some tenths of a second.

    Looked for in this order: $MODELCONFORM_PYTHON_3_8, the running interpreter's own installation, pyenv's versions,
    PATH, and what uv manages. A path that the user gives and that is no such Python is not passed over for another.
    """
    version = version or running()
    if given := os.environ.get(variable(version)):
        return _asked(given, version)
    for path in _candidates(version):
        if found := _asked(path, version):
            return found
    return None


def lacking(version: str) -> str | None:
    """None if there is an interpreter of a version, else a sentence that says what to do."""
    if find(version) is not None:
        return None
    version = version or running()
    name = variable(version)
    if given := os.environ.get(name):
        return f"needs Python {version} with venv, and ${name} ({given}) isn't one: correct it, or unset it"
    others = f"pyenv install {version}, or its path in {name}"
    return f"needs Python {version}: uv python install {version}, or {others}"


def _candidates(version: str) -> Iterator[str]:
    if version == running():
        # Of a virtual environment's Python, the one that it was made from: the new one then doesn't rest on the old.
        yield str(Path(sys.base_prefix) / "bin" / f"python{version}")
        yield sys.executable
    yield from _pyenv(version)
    # What stands in pyenv's folder of shims fails unless its version is switched on.
    folders = [f for f in os.environ.get("PATH", "").split(os.pathsep) if f and Path(f).name != "shims"]
    if path := shutil.which(f"python{version}", path=os.pathsep.join(folders)):
        yield path
    if uv := shutil.which("uv"):
        arguments = ["python", "find", "--managed-python", "--offline", "--no-project", version]
        if said := _said([uv, *arguments]):
            yield said


def _pyenv(version: str) -> Iterator[str]:
    roots = [os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv")]
    # A shim knows: …/shims/python lies in the root.
    roots += [str(Path(f).parent) for f in os.environ.get("PATH", "").split(os.pathsep) if Path(f).name == "shims"]
    for root in dict.fromkeys(root for root in roots if root):
        found = Path(root, "versions").glob(f"{version}.*/bin/python{version}")
        yield from sorted(map(str, found), key=lambda path: [int(n) for n in re.findall(r"\d+", path)], reverse=True)


def _asked(path: str, version: str) -> Interpreter | None:
    if not os.access(path, os.X_OK):
        return None
    said = _said([path, "-I", "-c", _QUESTION])
    words = said.split() if said else []
    return Interpreter(path, words[0]) if words and words[0].startswith(f"{version}.") else None


def _said(command: list[str]) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
