"""The C++ harness: finds what it needs in the installed packages, builds it on first use, and says where it is.

One executable an engine, built from ``cpp/`` with the compiler of the machine and the libraries of the Python packages.
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..cache.made_once import BuildError, Progress, log_of, made_once, run_all
from ..cache.store import default_folder
from . import ort_headers, tools


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


def _libtorch(cache: Path, progress: Progress) -> dict[str, str]:
    return {"TORCH_ROOT": str(tools.package("torch"))}


def _ort(cache: Path, progress: Progress) -> dict[str, str]:
    found = sorted((tools.package("onnxruntime") / "capi").glob("libonnxruntime.*"))
    if not found:
        raise LookupError("the installed onnxruntime carries no shared library to link against (Linux and macOS do)")
    version = importlib.metadata.version("onnxruntime")
    headers = ort_headers.find(version, _folder(cache), progress)
    return {"ORT_LIBRARY": str(found[0]), "ORT_INCLUDE": str(headers)}


def _openvino(cache: Path, progress: Progress) -> dict[str, str]:
    return {"OPENVINO_ROOT": str(tools.package("openvino"))}


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


def _folder(cache: Path) -> Path:
    return cache / "harness"


# ---- What is there ---------------------------------------------------------------------------------------------------


def unavailable(engine: str) -> str | None:
    """Why this engine's harness can't be built here, and what to do, in a sentence; None where nothing is known.

    Costs a few milliseconds: nothing is built, fetched or imported.
    """
    if engine not in ENGINES:
        return f"no C++ engine is called {engine!r}; there are {', '.join(ENGINES)}"
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
    plan = _plan(ENGINES[engine], cache, progress)

    def make(folder: Path) -> None:
        progress(f"building the {engine} harness (about 30 s, once) …")
        _build(plan, folder)

    waiting = f"waiting for another process that builds the {engine} harness"
    made_once(plan.folder, make, progress, waiting, lambda folder: plan.executable.is_file())
    return plan.executable


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


def _plan(engine: Engine, cache: Path, progress: Progress) -> _Plan:
    folder = _folder(cache)
    folder.mkdir(parents=True, exist_ok=True)
    compiler = tools.compiler()
    assert compiler is not None  # unavailable() has seen it
    with _same_for_all(folder, engine.name):
        try:
            variables = engine.definitions(cache, progress)
            variables["JSON_INCLUDE"] = str(tools.package("nlohmann_json") / "include")
            tree = tools.sources()
        except LookupError as error:
            raise BuildError(f"the {engine.name} harness can't be built: {error}") from error
    key = hashlib.sha256()
    for path in sorted(path for path in tree.rglob("*") if path.suffix in (".cpp", ".h", ".txt")):
        key.update(f"{path.relative_to(tree).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    versions = {name: importlib.metadata.version(name) for name in (*engine.requires, "nlohmann-json")}
    key.update(repr((versions, variables, tools.about(compiler))).encode())
    return _Plan(engine, tree, compiler, variables, folder / f"{engine.name}-{key.hexdigest()[:16]}")


@contextmanager
def _same_for_all(folder: Path, name: str) -> Iterator[None]:
    """One process at a time: what is fetched for an engine is fetched once."""
    import filelock

    with filelock.FileLock(folder / f"{name}.lock"):
        yield


def _build(plan: _Plan, folder: Path) -> None:
    work = folder / "work"
    cmake, ninja = tools.tool("cmake"), tools.tool("ninja")
    assert cmake is not None  # unavailable() has seen both
    assert ninja is not None
    definitions = {
        "ENGINE": plan.engine.name,
        "CMAKE_BUILD_TYPE": "Release",
        "WARNINGS_ARE_ERRORS": "OFF" if plan.sources.name == tools.PACKAGED else "ON",
        "CMAKE_MAKE_PROGRAM": ninja,
        "CMAKE_RUNTIME_OUTPUT_DIRECTORY": str(folder),
        **plan.variables,
    }
    settings = [f"-D{name}={value}" for name, value in definitions.items()]
    commands = [
        [cmake, "-G", "Ninja", "-S", str(plan.sources), "-B", str(work), *settings],
        [ninja, "-C", str(work)],
        # Started once, so that a library that isn't found at run time shows here and not as a crash of a model.
        [str(folder / plan.engine.executable), "--help"],
    ]
    environment = {**os.environ, "CXX": shlex.join(plan.compiler)}
    steps = [(Path(command[0]).name, command) for command in commands]
    run_all(steps, environment, log_of(plan.folder), f"building the {plan.engine.name} harness failed")
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
