"""What compiles: the compiler, cmake and ninja, the packages that carry libraries, and our own C++ sources."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

# The folder in which an installed package carries the C++ sources.
PACKAGED = "_cpp"

# What builds a harness, whatever the engine.
TOOLS = ("nlohmann-json", "cmake", "ninja")


def sources() -> Path:
    """The folder of the C++ sources: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    folders = (package / PACKAGED, package.parent / "cpp")
    for folder in folders:
        if (folder / "CMakeLists.txt").is_file():
            return folder
    raise LookupError(f"the C++ sources are neither in {folders[0]} nor in {folders[1]}")


def package(name: str) -> Path:
    """The folder of a Python package, which isn't imported. Raises LookupError."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"the Python package {name} is not installed: pip install {name}")
    return Path(spec.submodule_search_locations[0])


def compiler() -> list[str] | None:
    """The C++ compiler and the flags that belong to it: `$CXX`, else the machine's."""
    named = os.environ.get("CXX")
    for words in [shlex.split(named)] if named else [["c++"], ["g++"], ["clang++"]]:
        if words and (path := shutil.which(words[0])):
            return [path, *words[1:]]
    return None


def inductors_compiler() -> list[str] | None:
    """The C++ compiler that PyTorch's inductor takes, with the flags that belong to it; None where there is none."""
    words = shlex.split(os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++"))
    path = shutil.which(words[0])
    return [path, *words[1:]] if path else None


def lacking_inductors_compiler() -> str | None:
    """None if there is that compiler, else a sentence that says what to do. Costs a look at PATH."""
    if inductors_compiler():
        return None
    how = "xcode-select --install" if sys.platform == "darwin" else "apt-get install g++, or your system's likes"
    named = f" ($CXX, {os.environ['CXX']}, isn't found)" if os.environ.get("CXX") else ""
    return f"needs a C++ compiler{named}: {how}"


def tool(name: str) -> str | None:
    """An executable of a PyPI package: the environment's own, which need not be on PATH, else whatever is on PATH."""
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent)):
        if path := shutil.which(name, path=folder):
            return path
    return shutil.which(name)


def installed(distribution: str) -> bool:
    """Whether a distribution of PyPI is there, by its metadata."""
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def about(compiler: list[str]) -> tuple[object, ...]:
    """What compiled code depends on besides its source: the compiler, its version, the user's flags, the processor."""
    version = subprocess.run([*compiler, "--version"], capture_output=True, check=False).stdout
    flags = [os.environ.get(name, "") for name in ("CXXFLAGS", "CPPFLAGS", "LDFLAGS")]
    return compiler, version, flags, platform.machine()
