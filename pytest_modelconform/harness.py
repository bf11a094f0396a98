"""The C++ harness: finds what it needs in the installed packages, builds it on first use, and says where it is.

One executable an engine, built from ``cpp/`` with the compiler of the machine and the libraries of the Python packages.
This runs in the pytest process, so it never imports an engine: packages are found by their specification and metadata.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import mmap
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pytest_modelconform import ort_headers
from pytest_modelconform.subprocesses import run

Progress = Callable[[str], None]

# Of a failed build's output, as a template error of a C++ compiler is long and its end matters most.
LINES_SHOWN = 60


# The folder in which an installed package carries the C++ sources.
PACKAGED = "_cpp"


class BuildError(Exception):
    """A harness could not be built; the message holds what the compiler or the fetcher said."""


@dataclass(frozen=True)
class Engine:
    """An inference library that has a harness in C++."""

    name: str
    executable: str
    requires: tuple[str, ...]
    """Distributions that carry the library, and the headers where they do."""
    definitions: Callable[[Path, Progress], dict[str, str]]
    """(cache, progress) → CMake variables that say where the library is; raises LookupError."""
    obstacle: Callable[[], str | None]
    """What stands in the way besides a missing compiler or distribution: a sentence, or None."""


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"the Python package {name} is not installed: pip install {name}")
    return Path(spec.submodule_search_locations[0])


def _libtorch(cache: Path, progress: Progress) -> dict[str, str]:
    return {"TORCH_ROOT": str(_package("torch"))}


def _ort(cache: Path, progress: Progress) -> dict[str, str]:
    found = sorted((_package("onnxruntime") / "capi").glob("libonnxruntime.*"))
    if not found:
        raise LookupError("the installed onnxruntime carries no shared library to link against (Linux and macOS do)")
    version = importlib.metadata.version("onnxruntime")
    headers = ort_headers.find(version, _folder(cache), progress)
    return {"ORT_LIBRARY": str(found[0]), "ORT_INCLUDE": str(headers)}


def _openvino(cache: Path, progress: Progress) -> dict[str, str]:
    return {"OPENVINO_ROOT": str(_package("openvino"))}


def _nothing() -> None:
    return None


ENGINES: Mapping[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine("libtorch", "modelconform-libtorch", ("torch",), _libtorch, _nothing),
        Engine("frontend", "modelconform-frontend", ("torch",), _libtorch, _nothing),
        Engine("ort", "modelconform-ort", ("onnxruntime",), _ort, ort_headers.obstacle),
        Engine("openvino", "modelconform-openvino", ("openvino",), _openvino, _nothing),
    )
}

# What builds a harness, whatever the engine.
TOOLS = ("nlohmann-json", "cmake", "ninja")


def default_cache() -> Path:
    """The user's cache: ``$MODELCONFORM_CACHE``, else a folder in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if own := os.environ.get("MODELCONFORM_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pytest-modelconform"


def _folder(cache: Path) -> Path:
    return cache / "harness"


def sources() -> Path:
    """The folder of the C++ sources: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    folders = (package / PACKAGED, package.parent / "cpp")
    for folder in folders:
        if (folder / "CMakeLists.txt").is_file():
            return folder
    raise LookupError(f"the C++ sources are neither in {folders[0]} nor in {folders[1]}")


# ---- What is there ---------------------------------------------------------------------------------------------------


def _compiler() -> list[str] | None:
    named = os.environ.get("CXX")
    for words in [shlex.split(named)] if named else [["c++"], ["g++"], ["clang++"]]:
        if words and (path := shutil.which(words[0])):
            return [path, *words[1:]]
    return None


def _tool(name: str) -> str | None:
    """An executable of a PyPI package: the environment's own, which need not be on PATH, else whatever is on PATH."""
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent)):
        if path := shutil.which(name, path=folder):
            return path
    return shutil.which(name)


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def unavailable(engine: str) -> str | None:
    """Why this engine's harness can't be built here, and what to do, in a sentence; None where nothing is known.

    Costs a few milliseconds: nothing is built, fetched or imported.
    """
    if engine not in ENGINES:
        return f"no C++ engine is called {engine!r}; there are {', '.join(ENGINES)}"
    if sys.platform == "win32":
        return "the C++ harness is built on Linux and macOS only"
    missing = [name for name in ENGINES[engine].requires if not _installed(name)]
    missing += [name for name in TOOLS if not (_tool(name) if name in ("cmake", "ninja") else _installed(name))]
    if missing:
        return f"the {engine} harness needs {' and '.join(missing)}: pip install {' '.join(missing)}"
    if _compiler() is None:
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
        torchvision, torch = _package("torchvision"), _package("torch") / "lib"
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
    import filelock

    plan = _plan(ENGINES[engine], cache, progress)
    if plan.executable.is_file():
        return plan.executable
    if plan.folder in _failures:
        raise BuildError(_failures[plan.folder])
    lock = filelock.FileLock(f"{plan.folder}.lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        progress(f"waiting for another process that builds the {engine} harness …")
        lock.acquire()
    try:
        if not plan.executable.is_file():
            progress(f"building the {engine} harness (about 30 s, once) …")
            _build(plan)
    finally:
        lock.release()
    return plan.executable


# What failed in this process: the same sources and compiler would fail again, a minute a cell.
_failures: dict[Path, str] = {}


@dataclass(frozen=True)
class _Plan:
    """All that decides what a build gives. Its key names the folder, so that a change of any of it builds anew."""

    engine: Engine
    sources: Path
    compiler: list[str]
    variables: dict[str, str]
    folder: Path

    @property
    def executable(self) -> Path:
        return self.folder / self.engine.executable

    @property
    def log(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.log")


def _plan(engine: Engine, cache: Path, progress: Progress) -> _Plan:
    folder = _folder(cache)
    folder.mkdir(parents=True, exist_ok=True)
    compiler = _compiler()
    assert compiler is not None  # unavailable() has seen it
    with _same_for_all(folder, engine.name):
        try:
            variables = engine.definitions(cache, progress)
            variables["JSON_INCLUDE"] = str(_package("nlohmann_json") / "include")
            tree = sources()
        except LookupError as error:
            raise BuildError(f"the {engine.name} harness can't be built: {error}") from error
    key = hashlib.sha256()
    for path in sorted(path for path in tree.rglob("*") if path.suffix in (".cpp", ".h", ".txt")):
        key.update(f"{path.relative_to(tree).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    versions = {name: importlib.metadata.version(name) for name in (*engine.requires, "nlohmann-json")}
    about_compiler = subprocess.run([*compiler, "--version"], capture_output=True, check=False).stdout
    flags = [os.environ.get(name, "") for name in ("CXXFLAGS", "CPPFLAGS", "LDFLAGS")]
    key.update(repr((versions, variables, compiler, about_compiler, flags, platform.machine())).encode())
    return _Plan(engine, tree, compiler, variables, folder / f"{engine.name}-{key.hexdigest()[:16]}")


@contextmanager
def _same_for_all(folder: Path, name: str) -> Iterator[None]:
    """One process at a time: what is fetched for an engine is fetched once."""
    import filelock

    with filelock.FileLock(folder / f"{name}.lock"):
        yield


def _build(plan: _Plan) -> None:
    """Builds in a folder of its own that takes its final name when it is complete. The caller holds the lock."""
    temporary = plan.folder.with_name(f"{plan.folder.name}.building")
    for leftover in (temporary, plan.folder):
        shutil.rmtree(leftover, ignore_errors=True)
    work = temporary / "work"
    work.mkdir(parents=True)
    cmake, ninja = _tool("cmake"), _tool("ninja")
    assert cmake is not None  # unavailable() has seen both
    assert ninja is not None
    definitions = {
        "ENGINE": plan.engine.name,
        "CMAKE_BUILD_TYPE": "Release",
        "WARNINGS_ARE_ERRORS": "OFF" if plan.sources.name == PACKAGED else "ON",
        "CMAKE_MAKE_PROGRAM": ninja,
        "CMAKE_RUNTIME_OUTPUT_DIRECTORY": str(temporary),
        **plan.variables,
    }
    settings = [f"-D{name}={value}" for name, value in definitions.items()]
    commands = [
        [cmake, "-G", "Ninja", "-S", str(plan.sources), "-B", str(work), *settings],
        [ninja, "-C", str(work)],
        # Started once, so that a library that isn't found at run time shows here and not as a crash of a model.
        [str(temporary / plan.engine.executable), "--help"],
    ]
    environment = {**os.environ, "CXX": shlex.join(plan.compiler)}
    with plan.log.open("wb") as log:
        for command in commands:
            log.write(f"$ {shlex.join(command)}\n".encode())
            log.flush()
            status = run(command, environment, log.fileno())
            if status != 0:
                shutil.rmtree(temporary, ignore_errors=True)
                _failures[plan.folder] = _failure(plan, Path(command[0]).name, status)
                raise BuildError(_failures[plan.folder])
    shutil.rmtree(work)
    temporary.rename(plan.folder)


def _failure(plan: _Plan, program: str, status: int) -> str:
    lines = plan.log.read_text(errors="replace").splitlines()
    ended = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    cut = f"(the last {LINES_SHOWN} of {len(lines)} lines)\n" if len(lines) > LINES_SHOWN else ""
    shown = "\n".join(lines[-LINES_SHOWN:])
    return f"building the {plan.engine.name} harness failed: {program} {ended}\n{cut}{shown}\nfull log: {plan.log}"


# ---- Entry points of the console scripts -----------------------------------------------------------------------------


def _main(engine: str) -> NoReturn:
    try:
        path = executable(engine, default_cache(), lambda line: print(line, file=sys.stderr, flush=True))
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
