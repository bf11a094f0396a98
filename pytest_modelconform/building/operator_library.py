"""C++ sources of operators of one's own as shared libraries, compiled on first use into the cache.

A source is compiled for whom it is: with libtorch (and its precompiled header, which sources of models share), with
ONNX Runtime's headers, which need no library, or with OpenVINO.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cache.made_once import BuildError, Progress, log_of, made_once
from ..cache.store import Cache
from ..terms.operators import EXECUTORCH, ONNXRUNTIME, OPENVINO, SOURCES, TORCH
from . import case_library, ort_headers, tools
from .includes import UnknownInclude, local_files

_KIND = "cpp"


@dataclass(frozen=True)
class _Recipe:
    """How the sources of a kind are compiled.

    before, after: words of the command, around the source. about: what else the result depends on. prepare: makes what
    is included first; its words.
    """

    before: Sequence[str]
    after: Sequence[str] = ()
    about: Sequence[str] = ()
    prepare: Callable[[], Sequence[str]] = tuple


def library(kind: str, source: Path, cache: Path, progress: Progress) -> Path:
    """The library of a source for who loads it, of `terms.operators.KINDS`, compiled into `cache` if it isn't there.

    Of several processes one compiles it. A library is its own. Raises BuildError where a tool or package is missing, or
    the source doesn't compile; the message names file, line and what the compiler said.
    """
    if not source.name.endswith(SOURCES):
        return source
    package, recipe_of = _RECIPES[kind]
    if reason := _obstacle(package):
        raise BuildError(f"{source.name} can't be compiled: {reason}")
    try:
        files = local_files(source)
        recipe = recipe_of(cache, progress)
    except (LookupError, UnknownInclude) as error:
        raise BuildError(f"{source.name} can't be compiled: {error}") from error
    content = case_library.content_of(source, files)
    text = repr(("operators", kind, recipe.before, recipe.after, recipe.about, content))
    target = Cache(cache).folder / _KIND / hashlib.sha256(text.encode()).hexdigest()
    output = f"{source.stem}.{'dylib' if sys.platform == 'darwin' else 'so'}"

    def make(folder: Path) -> None:
        first = recipe.prepare()
        progress(f"compiling {source.name} (once) …")
        words = [*recipe.before, *first, str(source), "-o", str(folder / output), *recipe.after]
        status, said = case_library.run_compiler(words, log_of(target))
        if status != 0:
            raise BuildError(case_library.failure(source, files, status, said))

    made_once(target, make, progress, f"waiting for another process that compiles {source.name}")
    return target / output


def _obstacle(package: str) -> str | None:
    """What stands in the way of compiling against a package, and what to do; None where nothing is known."""
    if sys.platform == "win32":
        return "operators are compiled on Linux and macOS only"
    if not tools.installed(package):
        return f"it needs {package}: pip install {package}"
    if tools.compiler() is None:
        how = "xcode-select --install" if sys.platform == "darwin" else "apt-get install g++, or your system's likes"
        return f"it needs a C++20 compiler: {how}"
    return ort_headers.obstacle() if package == "onnxruntime" else None


def _for_torch(cache: Path, progress: Progress) -> _Recipe:
    compiler = case_library.find_compiler()

    def header() -> Sequence[str]:
        return "-include", str(case_library.header(compiler, cache, progress))

    return _Recipe([*compiler.command, *compiler.flags], compiler.link_flags, [compiler.about], header)


def _for_onnxruntime(cache: Path, progress: Progress) -> _Recipe:
    version = importlib.metadata.version("onnxruntime")
    headers = ort_headers.find(version, _harnesses(cache), progress)
    words, about = _compiler()
    # ONNX Runtime hands its functions to the library, so that there is nothing to link.
    return _Recipe([*words, "-isystem", str(headers)], _own_link_flags(), [*about, version])


def _for_openvino(cache: Path, progress: Progress) -> _Recipe:
    package = tools.package("openvino")
    return _linked("openvino", package / "libs", "libopenvino.*", [package / "include"])


def _for_executorch(cache: Path, progress: Progress) -> _Recipe:
    package = tools.package("executorch")
    include = package / "include"
    # Its own copy of c10's headers, which say that they are configured by a macro.
    c10 = include / "executorch" / "runtime" / "core" / "portable_type" / "c10"
    return _linked(
        "executorch", package / "lib", "libexecutorch.*", [include, c10], ["-DC10_USING_CUSTOM_GENERATED_MACROS"]
    )


def _linked(package: str, folder: Path, pattern: str, include: Sequence[Path], flags: Sequence[str] = ()) -> _Recipe:
    """With the headers of a Python package and its library, which is found there again at run time."""
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    if not found:
        raise LookupError(f"the installed {package} has no library {pattern} in {folder} to link")
    words, about = _compiler()
    isystem = [word for path in include for word in ("-isystem", str(path))]
    links = [str(found[0]), f"-Wl,-rpath,{folder}", *_own_link_flags()]
    return _Recipe([*words, *flags, *isystem], links, [*about, importlib.metadata.version(package)])


def _harnesses(cache: Path) -> Path:
    """Where the C++ harness keeps the headers that it fetches."""
    folder = cache / "harness"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _compiler() -> tuple[list[str], list[str]]:
    """The machine's compiler with its flags, and what its results depend on besides."""
    compiler = tools.compiler()
    assert compiler is not None  # unavailable() has seen it
    own = shlex.split(f"{os.environ.get('CPPFLAGS', '')} {os.environ.get('CXXFLAGS', '')}")
    flags = ["-std=c++20", "-O1", "-fPIC", "-shared", "-fdiagnostics-color=never", *own]
    return [*compiler, *flags], [repr(tools.about(compiler))]


def _own_link_flags() -> list[str]:
    return shlex.split(os.environ.get("LDFLAGS", ""))


# By kind: the package whose headers its sources include, and how they are compiled.
_RECIPES: Mapping[str, tuple[str, Callable[[Path, Progress], _Recipe]]] = {
    TORCH: ("torch", _for_torch),
    ONNXRUNTIME: ("onnxruntime", _for_onnxruntime),
    OPENVINO: ("openvino", _for_openvino),
    EXECUTORCH: ("executorch", _for_executorch),
}
