"""The C++ library as a CMake package: built and installed into the cache on first use, and where it then is.

    cmake -S . -B build -DCMAKE_PREFIX_PATH="$(modelconform cmake-dir)"

The same machinery as for the harness (harness.py), and the same result as `cmake --install` of the sources.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from pathlib import Path

from ..cache.made_once import BuildError, Progress, log_of, made_once, run_all
from ..terms.version import __version__
from . import tools
from .harness import ENGINES, unavailable

# Where the package is, below the folder that it is installed to.
INSIDE = Path("lib", "cmake", "modelconform")


def find(cache: Path, progress: Progress) -> Path:
    """The folder of modelconformConfig.cmake, installed into *cache* if it isn't there.

    Any number of processes may call this at once: one builds, the others wait for it.

    Raises:
        BuildError: a tool or package is missing, or the build failed.

    """
    cmake, ninja, compiler = tools.tool("cmake"), tools.tool("ninja"), tools.compiler()
    missing = [name for name, tool in (("cmake", cmake), ("ninja", ninja)) if tool is None]
    if missing:
        raise BuildError(f"the C++ library needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    if compiler is None:
        raise BuildError("the C++ library needs a C++20 compiler: set CXX, or install one")
    assert cmake is not None
    assert ninja is not None
    try:
        tree, json = tools.sources(), tools.package("nlohmann_json") / "include"
    except LookupError as error:
        raise BuildError(f"the C++ library can't be built: {error}") from error
    target = cache / "library" / _key(tree, compiler)

    def make(folder: Path) -> None:
        progress("building the C++ library (about 20 s, once) …")
        _install(tree, json, [cmake, ninja], compiler, folder, log_of(target))

    waiting = "waiting for another process that builds the C++ library"
    made_once(target, make, progress, waiting, lambda folder: (folder / INSIDE).is_dir())
    return target / INSIDE


def _key(tree: Path, compiler: list[str]) -> str:
    """All that decides what a build gives."""
    key = hashlib.sha256()
    # The harness's own folders are no part of it. The version is the Python package's.
    found = [path for pattern in ("*", "library/**/*") for path in tree.glob(pattern)]
    own = [path for path in found if path.suffix in (".cpp", ".h", ".txt", ".cmake")]
    for path in sorted(own):
        key.update(f"{os.path.relpath(path, tree)}\0".encode() + path.read_bytes() + b"\0")
    key.update(repr((__version__, tools.about(compiler))).encode())
    return key.hexdigest()[:16]


def _install(tree: Path, json: Path, programs: list[str], compiler: list[str], folder: Path, log: Path) -> None:
    cmake, ninja = programs
    work = folder / "work"
    settings = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_COMPILE_WARNING_AS_ERROR": "OFF" if tree.name == tools.PACKAGED else "ON",
        "CMAKE_INSTALL_LIBDIR": "lib",
        "CMAKE_MAKE_PROGRAM": ninja,
        "JSON_INCLUDE": str(json),
    }
    definitions = [f"-D{name}={value}" for name, value in settings.items()]
    commands = [
        [cmake, "-G", "Ninja", "-S", str(tree), "-B", str(work), *definitions],
        [ninja, "-C", str(work)],
        [cmake, "--install", str(work), "--prefix", str(folder)],
    ]
    steps = [(Path(command[0]).name, command) for command in commands]
    run_all(steps, {**os.environ, "CXX": shlex.join(compiler)}, log, "building the C++ library failed")
    shutil.rmtree(work)


def definitions(engines: list[str], cache: Path, progress: Progress) -> dict[str, str]:
    """CMake variables that say where this library is, and where the installed packages of engines have theirs.

    Raises:
        BuildError: as `find`, or an engine isn't there.

    """
    found = {"modelconform_DIR": str(find(cache, progress))}
    for engine in engines:
        reason = unavailable(engine)
        if reason is not None:
            raise BuildError(reason)
        try:
            found |= ENGINES[engine].definitions(cache, progress)
        except LookupError as error:
            raise BuildError(f"{engine}: {error}") from error
    return found
