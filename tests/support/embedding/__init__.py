"""Builds C++ projects that use our library, as users do."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pytest_modelconform.building import tools

PROJECT = Path(__file__).parent


def build(project: Path, folder: Path, **definitions: object) -> Path:
    """Configure and build a CMake project into a folder, and return that."""
    cmake, ninja = tools.tool("cmake"), tools.tool("ninja")
    assert cmake is not None
    settings = {"CMAKE_MAKE_PROGRAM": ninja, "CMAKE_BUILD_TYPE": "Release", **definitions}
    given = [f"-D{name}={value}" for name, value in settings.items()]
    run([cmake, "-G", "Ninja", "-S", str(project), "-B", str(folder), *given])
    run([cmake, "--build", str(folder)])
    return folder


def run(command: list[str], cwd: Path | None = None) -> str:
    """The output of a command that has to succeed."""
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout
