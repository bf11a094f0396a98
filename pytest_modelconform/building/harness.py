"""The C++ harness: finds what it needs in the installed packages, builds it on first use, and says where it is.

One executable an engine, built from ``cpp/`` with the compiler of the machine and the libraries of the Python packages.
What engines share is compiled once, into static libraries of their own folders in the cache.
This runs in the pytest process, so it never imports an engine: packages are found by their specification and metadata.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import mmap
import os
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..cache.made_once import BuildError, Progress, log_of, made_once, run_all
from ..cache.store import default_folder
from . import ort_headers, tools

# Of the files that a build depends on.
_SUFFIXES = (".cpp", ".h", ".txt", ".cmake")


def _nothing() -> None:
    return None


def _silent(line: str) -> None:
    return None


def _no_variables(cache: Path, progress: Progress) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class Archive:
    """What several engines share, compiled once: CMake's target ``modelconform_NAME``, a static library."""

    name: str
    engine: str
    """One whose CMake project has the target."""
    requires: tuple[str, ...]
    """Distributions that carry the headers."""
    variables: tuple[str, ...]
    """Of the engine's CMake variables, those that matter to it."""
    folders: tuple[str, ...]
    """Of its sources, in ``cpp/``."""


@dataclass(frozen=True)
class Engine:
    """An inference library that has a harness in C++: ``cpp/engines/NAME.cpp`` and ``NAME.cmake``."""

    name: str
    requires: tuple[str, ...] = ()
    """Distributions that carry the library, and the headers where they do."""
    definitions: Callable[[Path, Progress], dict[str, str]] = _no_variables
    """(cache, progress) → CMake variables that say where the library is; raises LookupError."""
    obstacle: Callable[[], str | None] = _nothing
    """What stands in the way besides a missing compiler or distribution: a sentence, or None."""
    is_fetched: Callable[[Path], bool] = lambda cache: True
    """(cache) → whether `definitions` has nothing left to fetch."""
    archives: tuple[str, ...] = ("harness",)
    """What it shares with others, of ARCHIVES."""

    @property
    def executable(self) -> str:
        """The name of the program."""
        return f"modelconform-{self.name}"


def _libtorch(cache: Path, progress: Progress) -> dict[str, str]:
    return {"TORCH_ROOT": str(tools.package("torch"))}


def _ort(cache: Path, progress: Progress) -> dict[str, str]:
    found = sorted((tools.package("onnxruntime") / "capi").glob("libonnxruntime.*"))
    if not found:
        raise LookupError("the installed onnxruntime carries no shared library to link against (Linux and macOS do)")
    version = importlib.metadata.version("onnxruntime")
    headers = ort_headers.find(version, _folder(cache), progress)
    return {"ORT_LIBRARY": str(found[0]), "ORT_INCLUDE": str(headers)}


def _ort_is_fetched(cache: Path) -> bool:
    return ort_headers.here(importlib.metadata.version("onnxruntime"), _folder(cache)) is not None


def _openvino(cache: Path, progress: Progress) -> dict[str, str]:
    return {"OPENVINO_ROOT": str(tools.package("openvino"))}


ARCHIVES: Mapping[str, Archive] = {
    archive.name: archive
    for archive in (
        Archive("harness", "echo", ("nlohmann-json",), ("JSON_INCLUDE",), ("harness", "library")),
        Archive("libtorch", "libtorch", ("torch",), ("TORCH_ROOT",), ("libtorch", "frontend", "harness", "library")),
    )
}

# The slow one first: of two processes that want different engines, each then makes one.
_TORCH = ("libtorch", "harness")

ENGINES: Mapping[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine("libtorch", ("torch",), _libtorch, archives=_TORCH),
        Engine("frontend", ("torch",), _libtorch, archives=_TORCH),
        Engine("ort", ("onnxruntime",), _ort, ort_headers.obstacle, _ort_is_fetched),
        Engine("openvino", ("openvino",), _openvino),
    )
}


def _folder(cache: Path) -> Path:
    return cache / "harness"


# ---- What is there ---------------------------------------------------------------------------------------------------


def unavailable(engine: str) -> str | None:
    """Why this engine's harness can't be built here, and what to do, in a sentence; None where nothing is known.

    Costs a few milliseconds: nothing is built, fetched or imported.
    """
    if engine not in ENGINES:
        return f"unknown C++ engine {engine!r}; known: {', '.join(ENGINES)}"
    if sys.platform == "win32":
        return "the C++ harness is built on Linux and macOS only"
    missing = [name for name in ENGINES[engine].requires if not tools.installed(name)]
    missing += [
        name for name in tools.TOOLS if not (tools.tool(name) if name in ("cmake", "ninja") else tools.installed(name))
    ]
    if missing:
        return f"the {engine} harness needs {' and '.join(missing)}: pip install {' '.join(missing)}"
    if tools.compiler() is None:
        how = "xcode-select --install" if sys.platform == "darwin" else "apt-get install g++, or your system's likes"
        named = f" ($CXX, {os.environ['CXX']}, isn't found)" if os.environ.get("CXX") else ""
        return f"the {engine} harness needs a C++20 compiler{named}: {how}"
    return ENGINES[engine].obstacle()


def _needs(library: Path, name: bytes) -> bool:
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(name) >= 0


def torchvision_libraries() -> list[Path]:
    """The libraries to open, in this order, before libtorch loads a module that uses torchvision's operators.

    torchvision 0.29.1's own library is linked against libtorch_python, which in turn uses symbols of libpython; that of
    0.29.2 is not. A CUDA build is linked against libtorch, which stands for all parts of it. Empty where torchvision is
    not installed.
    """
    try:
        torchvision, torch = tools.package("torchvision"), tools.package("torch") / "lib"
    except LookupError:
        return []
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    # _C_stable.so since torchvision 0.29, _C.so (with the Python version in its name) before.
    own = [path for pattern in ("_C_stable*.so", "_C.*so") for path in sorted(torchvision.glob(pattern))]
    if not own:
        return []
    libraries = [torch / f"libtorch{suffix}"]
    if _needs(own[0], b"libtorch_python"):
        libraries = [*_libpython(), *libraries, torch / f"libtorch_python{suffix}"]
    return [*libraries, own[0]]


def _libpython() -> list[Path]:
    folder = sysconfig.get_config_var("LIBDIR")
    names = (sysconfig.get_config_var("INSTSONAME"), sysconfig.get_config_var("LDLIBRARY"))
    candidates = [Path(str(folder)) / str(name) for name in names if name and not str(name).endswith(".a")]
    # A Python without a shared library (some builds of Debian and conda) may still have one installed beside it.
    return [path for path in candidates if path.is_file()][:1]


# ---- Building --------------------------------------------------------------------------------------------------------


def executable(engine: str, cache: Path, progress: Progress) -> Path:
    """The engine's harness, built into *cache* if it isn't there.

    Any number of processes may call this at once: one builds, the others wait for it.

    Raises:
        BuildError: a tool or package is missing, or the build failed.

    """
    reason = unavailable(engine)
    if reason is not None:
        raise BuildError(reason)
    build = _build_of(ENGINES[engine], cache, progress)

    def make(folder: Path) -> None:
        progress(f"building the {engine} harness (about 30 s, once) …")
        build.make_program(folder, progress)

    program = ENGINES[engine].executable
    waiting = f"waiting for another process that builds the {engine} harness"
    made_once(build.folder, make, progress, waiting, lambda folder: (folder / program).is_file())
    return build.folder / program


def is_built(engine: str, cache: Path) -> bool:
    """Whether the engine's harness is in *cache*. Builds and fetches nothing, and takes some milliseconds.

    Raises:
        BuildError: a tool or package is missing.

    """
    if reason := unavailable(engine):
        raise BuildError(reason)
    known = ENGINES[engine]
    if not known.is_fetched(cache):
        return False
    # With nothing to fetch there is nothing to wait for.
    return (_build_of(known, cache, _silent, nullcontext()).folder / known.executable).is_file()


def _build_of(
    engine: Engine, cache: Path, progress: Progress, alone: AbstractContextManager[None] | None = None
) -> _Build:
    folder = _folder(cache)
    folder.mkdir(parents=True, exist_ok=True)
    compiler = tools.compiler()
    assert compiler is not None  # unavailable() has seen it
    with alone or _same_for_all(folder, engine.name):
        try:
            variables = engine.definitions(cache, progress)
            variables["JSON_INCLUDE"] = str(tools.package("nlohmann_json") / "include")
            tree = tools.sources()
        except LookupError as error:
            raise BuildError(f"the {engine.name} harness can't be built: {error}") from error
    return _Build(engine, folder, tree, compiler, tools.about(compiler), variables)


@contextmanager
def _same_for_all(folder: Path, name: str) -> Iterator[None]:
    """One process at a time: what is fetched for an engine is fetched once."""
    import filelock

    with filelock.FileLock(folder / f"{name}.lock"):
        yield


@dataclass(frozen=True)
class _Build:
    """A build of an engine's program and of what it shares with others.

    All that decides what comes of it is in the names of folders, so that a change of any of it builds anew; a change of
    one engine's files leaves alone what others have, too.
    """

    engine: Engine
    all_builds: Path
    sources: Path
    compiler: list[str]
    about: tuple[object, ...]
    variables: dict[str, str]

    @property
    def folder(self) -> Path:
        """Where the program is, or will be."""
        engine = self.engine
        patterns = [f"engines/{engine.name}.*"]
        shared = [self._folder_of(ARCHIVES[name]).name for name in engine.archives]
        key = self._key(patterns, engine.requires, self.variables, shared)
        return self.all_builds / f"{engine.name}-{key}"

    def _folder_of(self, archive: Archive) -> Path:
        patterns = [f"{folder}/**/*" for folder in archive.folders]
        variables = {name: self.variables[name] for name in archive.variables}
        return self.all_builds / f"shared-{archive.name}-{self._key(patterns, archive.requires, variables)}"

    def _key(self, patterns: Sequence[str], requires: Sequence[str], *more: object) -> str:
        """Of the files in the top folder and those that the patterns name, the compiler, and versions."""
        key = hashlib.sha256()
        found = {path for pattern in ("*", *patterns) for path in self.sources.glob(pattern)}
        for path in sorted(path for path in found if path.suffix in _SUFFIXES):
            key.update(f"{path.relative_to(self.sources).as_posix()}\0".encode() + path.read_bytes() + b"\0")
        versions = {name: importlib.metadata.version(name) for name in requires}
        key.update(repr((versions, self.about, *more)).encode())
        return key.hexdigest()[:16]

    def make_program(self, folder: Path, progress: Progress) -> None:
        """The engine's program, and first what it shares with others, where that isn't there."""
        shared = [ARCHIVES[name] for name in self.engine.archives]
        archives = {f"{archive.name.upper()}_ARCHIVE": str(self._archive(archive, progress)) for archive in shared}
        program = self.engine.executable
        # Started once, so that a library that isn't found at run time shows here and not as a crash of a model.
        started = [str(folder / program), "--help"]
        variables = {**self.variables, **archives}
        what = f"the {self.engine.name} harness"
        self._run(what, folder, self.folder, self.engine.name, program, variables, [started])

    def _archive(self, archive: Archive, progress: Progress) -> Path:
        target = self._folder_of(archive)
        file = f"libmodelconform_{archive.name}.a"
        what = f"what C++ harnesses share ({archive.name})"

        def make(folder: Path) -> None:
            variables = {name: self.variables[name] for name in archive.variables}
            self._run(what, folder, target, archive.engine, f"modelconform_{archive.name}", variables)

        waiting = f"waiting for another process that builds {what}"
        return made_once(target, make, progress, waiting, lambda folder: (folder / file).is_file()) / file

    def _run(
        self,
        what: str,
        folder: Path,
        final: Path,
        engine: str,
        target: str,
        variables: Mapping[str, str],
        more: Sequence[list[str]] = (),
    ) -> None:
        """Configure the project of an engine and build a target into a folder, which will be called `final`."""
        work = folder / "work"
        cmake, ninja = tools.tool("cmake"), tools.tool("ninja")
        assert cmake is not None  # unavailable() has seen both
        assert ninja is not None
        definitions = {
            "ENGINE": engine,
            "CMAKE_BUILD_TYPE": "Release",
            "WARNINGS_ARE_ERRORS": "OFF" if self.sources.name == tools.PACKAGED else "ON",
            "CMAKE_MAKE_PROGRAM": ninja,
            "CMAKE_RUNTIME_OUTPUT_DIRECTORY": str(folder),
            "CMAKE_ARCHIVE_OUTPUT_DIRECTORY": str(folder),
            **variables,
        }
        settings = [f"-D{name}={value}" for name, value in definitions.items()]
        commands = [
            [cmake, "-G", "Ninja", "-S", str(self.sources), "-B", str(work), *settings],
            [ninja, "-C", str(work), target],
            *more,
        ]
        steps = [(Path(command[0]).name, command) for command in commands]
        environment = {**os.environ, "CXX": shlex.join(self.compiler)}
        run_all(steps, environment, log_of(final), f"building {what} failed")
        shutil.rmtree(work)


# ---- Entry points of the console scripts -----------------------------------------------------------------------------


def _main(engine: str) -> NoReturn:
    try:
        path = executable(engine, default_folder(), lambda line: print(line, file=sys.stderr, flush=True))
    except BuildError as error:
        sys.exit(str(error))
    os.execv(path, [str(path), *sys.argv[1:]])


def main_libtorch() -> NoReturn:
    """``modelconform-libtorch``: builds the harness if needed, then becomes it."""
    _main("libtorch")


def main_frontend() -> NoReturn:
    """``modelconform-frontend``: builds the harness if needed, then becomes it."""
    _main("frontend")


def main_ort() -> NoReturn:
    """``modelconform-ort``: builds the harness if needed, then becomes it."""
    _main("ort")


def main_openvino() -> NoReturn:
    """``modelconform-openvino``: builds the harness if needed, then becomes it."""
    _main("openvino")
