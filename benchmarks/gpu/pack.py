"""What a machine that can install nothing needs: the plugin's own dependencies, each unpacked into a folder.

Not PyTorch, numpy, ONNX Runtime and the like, which such a machine has, or its columns say that they are unavailable.
Standard library only: it is what finds the others.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(".gpu/site")
# Of what pyproject.toml names, with what these need, all that may be missing beside a PyTorch of somebody else's.
NEEDED = (
    *("pytest", "pluggy", "iniconfig", "pygments", "pytest-xdist", "execnet", "filelock", "platformdirs", "packaging"),
    *("tomlkit", "msgspec", "jinja2", "markupsafe", "anybadge", "junitparser", "shtab", "nlohmann-json", "ml_dtypes"),
)
_PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (28, 27, 17)] + ["manylinux2014_x86_64", "manylinux1_x86_64"]


def pack(python: str, folder: Path = FOLDER, names: Sequence[str] = NEEDED) -> int:
    """Download and unpack packages for a version of Python ("3.12"); the bytes that they take.

    Raises subprocess.CalledProcessError where pip fails, after it has said why.
    """
    shutil.rmtree(folder, ignore_errors=True)
    platforms = [word for name in _PLATFORMS for word in ("--platform", name)]
    words = ["--no-deps", "--only-binary=:all:", "--python-version", python, "--implementation", "cp", *platforms]
    with tempfile.TemporaryDirectory() as wheels:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "-d", wheels]
        subprocess.run([*command, *words, *names], check=True)
        for wheel in Path(wheels).glob("*.whl"):
            with zipfile.ZipFile(wheel) as content:
                content.extractall(folder / wheel.name.partition("-")[0])
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def use(folder: Path = FOLDER) -> list[str]:
    """Let this process, and those that it starts, import what was packed and isn't here; the names of these."""
    if not folder.is_dir():
        return []
    found = [path for path in sorted(folder.iterdir()) if path.is_dir() and not _is_here(path.name)]
    places = [str(path.resolve()) for path in found]
    sys.path.extend(places)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), *places]))
    return [path.name for path in found]


def _is_here(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
