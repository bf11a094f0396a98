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
from ..terms.operators import ONNXRUNTIME, OPENVINO, SOURCES, TORCH
from . import case_library, ort_headers, tools
from .harness import unavailable
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
    engine, recipe_of = _RECIPES[kind]
    if reason := unavailable(engine):
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
    folder = package / "libs"
    found = sorted(path for path in folder.glob("libopenvino.*") if path.is_file())
    if not found:
        raise LookupError(f"the installed openvino has no library in {folder} to link")
    words, about = _compiler()
    version = importlib.metadata.version("openvino")
    links = [str(found[0]), f"-Wl,-rpath,{folder}", *_own_link_flags()]
    return _Recipe([*words, "-isystem", str(package / "include")], links, [*about, version])


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


# By kind: the engine of the harness that needs the same tools and packages, and how its sources are compiled.
_RECIPES: Mapping[str, tuple[str, Callable[[Path, Progress], _Recipe]]] = {
    TORCH: ("frontend", _for_torch),
    ONNXRUNTIME: ("ort", _for_onnxruntime),
    OPENVINO: ("openvino", _for_openvino),
}
