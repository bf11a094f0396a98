"""The C++ library as a CMake package: built and installed into the cache on first use, and where it then is.

    cmake -S . -B build -DCMAKE_PREFIX_PATH="$(modelconform cmake-dir)"

The same machinery as for the harness (harness.py), and the same result as `cmake --install` of the sources.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from .harness import (
    ENGINES,
    PACKAGED,
    BuildError,
    Progress,
    _compiler,
    _package,
    _tool,
    default_cache,
    sources,
    unavailable,
)
from .subprocesses import run as run_logged

# Where the package is, below the folder that it is installed to.
INSIDE = Path("lib", "cmake", "modelconform")

EXAMPLES = """\
  cmake -S . -B build -DCMAKE_PREFIX_PATH="$(modelconform cmake-dir)"
  modelconform cmake-dir --sources
  modelconform cmake-dir --with libtorch

The library is built into the cache on first use.

exit status: 0; 1 where it can't be built or found."""


def find(cache: Path, progress: Progress) -> Path:
    """The folder of modelconformConfig.cmake, installed into *cache* if it isn't there.

    Any number of processes may call this at once: one builds, the others wait for it.

    Raises:
        BuildError: a tool or package is missing, or the build failed.

    """
    import filelock

    cmake, ninja, compiler = _tool("cmake"), _tool("ninja"), _compiler()
    missing = [name for name, tool in (("cmake", cmake), ("ninja", ninja)) if tool is None]
    if missing:
        raise BuildError(f"the C++ library needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    if compiler is None:
        raise BuildError("the C++ library needs a C++20 compiler: set CXX, or install one")
    assert cmake is not None
    assert ninja is not None
    try:
        tree, json = sources(), _package("nlohmann_json") / "include"
    except LookupError as error:
        raise BuildError(f"the C++ library can't be built: {error}") from error
    folder = cache / "library"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / _key(tree, compiler)
    if (target / INSIDE).is_dir():
        return target / INSIDE
    with filelock.FileLock(f"{target}.lock"):
        if not (target / INSIDE).is_dir():
            progress("building the C++ library (about 20 s, once) …")
            _install(tree, json, [cmake, ninja], compiler, target)
    return target / INSIDE


def _key(tree: Path, compiler: list[str]) -> str:
    """All that decides what a build gives."""
    key = hashlib.sha256()
    # The harness's own folders are no part of it. The version is in the package's __init__.py.
    found = [path for pattern in ("*", "compare/*") for path in tree.glob(pattern)]
    own = [path for path in found if path.suffix in (".cpp", ".h", ".txt", ".cmake")]
    for path in (Path(__file__).with_name("__init__.py"), *sorted(own)):
        key.update(f"{os.path.relpath(path, tree)}\0".encode() + path.read_bytes() + b"\0")
    about = subprocess.run([*compiler, "--version"], capture_output=True, check=False).stdout
    flags = [os.environ.get(name, "") for name in ("CXXFLAGS", "CPPFLAGS", "LDFLAGS")]
    key.update(repr((compiler, about, flags, platform.machine())).encode())
    return key.hexdigest()[:16]


def _install(tree: Path, json: Path, tools: list[str], compiler: list[str], target: Path) -> None:
    """In a folder of its own that takes its final name when it is complete. The caller holds the lock."""
    cmake, ninja = tools
    work, made = target.with_name(f"{target.name}.building"), target.with_name(f"{target.name}.installing")
    for leftover in (work, made, target):
        shutil.rmtree(leftover, ignore_errors=True)
    settings = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_COMPILE_WARNING_AS_ERROR": "OFF" if tree.name == PACKAGED else "ON",
        "CMAKE_INSTALL_LIBDIR": "lib",
        "CMAKE_MAKE_PROGRAM": ninja,
        "JSON_INCLUDE": str(json),
    }
    definitions = [f"-D{name}={value}" for name, value in settings.items()]
    commands = [
        [cmake, "-G", "Ninja", "-S", str(tree), "-B", str(work), *definitions],
        [ninja, "-C", str(work)],
        [cmake, "--install", str(work), "--prefix", str(made)],
    ]
    log = target.with_name(f"{target.name}.log")
    with log.open("wb") as output:
        for command in commands:
            output.write(f"$ {shlex.join(command)}\n".encode())
            output.flush()
            status = run_logged(command, {**os.environ, "CXX": shlex.join(compiler)}, output.fileno())
            if status != 0:
                shutil.rmtree(work, ignore_errors=True)
                lines = log.read_text(errors="replace").splitlines()[-60:]
                raise BuildError(
                    f"building the C++ library failed: {Path(command[0]).name} ended with status {status}\n"
                    + "\n".join([*lines, f"full log: {log}"])
                )
    shutil.rmtree(work)
    made.rename(target)


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


# ---- The command -----------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform cmake-dir`."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--sources", action="store_true", help="the folder of the sources instead, for add_subdirectory: builds nothing"
    )
    what.add_argument(
        "--with",
        dest="engines",
        metavar="ENGINE",
        action="append",
        choices=list(ENGINES),
        help="print -D… options for cmake instead: this library and an installed package's "
        f"({', '.join(ENGINES)}; may be repeated)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print where the package is, and nothing else, to stdout."""

    def progress(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        if arguments.sources:
            print(sources())
        elif arguments.engines:
            found = definitions(arguments.engines, default_cache(), progress)
            print("\n".join(f"-D{name}={value}" for name, value in found.items()))
        else:
            print(find(default_cache(), progress))
    except (BuildError, LookupError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
