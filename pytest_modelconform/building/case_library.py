"""A case's C++ source as a shared library, compiled on first use into the cache.

torch/torch.h takes most of the time of a compilation, so that it is compiled once, for all cases, as a precompiled
header: `docs/cpp-frontend.md` has the figures.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cache.fingerprint import hash_file
from ..cache.made_once import BuildError, Progress, how_it_ended, log_of, made_once, run
from ..cache.store import Cache
from ..terms.core_seconds import HARNESS, SPENT
from . import tools
from .harness import unavailable
from .includes import UnknownInclude, local_files

# Seconds. A compiler that takes longer is stuck in a template.
LIMIT = 900.0
# Of the compiler's output: its first error counts most.
LINES_SHOWN = 40

_KIND = "cpp"
_HEADER = "torch.h"
_ERROR = re.compile(r"(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(?:\d+:)? (?:fatal )?error: (?P<text>.*)")
_PLACE = re.compile(r"(?P<include>In file included from )?(?P<file>[^\s:][^:\n]*):(?P<line>\d+)[:,]")


@dataclass(frozen=True)
class Compiler:
    """A compiler with all that its results depend on besides the source.

    command: the compiler and the flags of the machine. is_clang: whether it is one. torch: the package's folder.
    about: what it says of itself, and of which build the package is.
    """

    command: tuple[str, ...]
    is_clang: bool
    torch: Path
    about: str

    @property
    def flags(self) -> list[str]:
        """What source and header are compiled with: a precompiled header fits no other flags."""
        include = self.torch / "include"
        folders = [include, include / "torch" / "csrc" / "api" / "include"]
        own = shlex.split(f"{os.environ.get('CPPFLAGS', '')} {os.environ.get('CXXFLAGS', '')}")
        # Two cases may have classes of the same name; what GCC makes "unique" would be one for both.
        unique = [] if self.is_clang else ["-fno-gnu-unique"]
        isystem = [word for folder in folders for word in ("-isystem", str(folder))]
        return ["-std=c++20", "-O1", "-fPIC", "-fdiagnostics-color=never", *unique, *isystem, *own]

    @property
    def link_flags(self) -> list[str]:
        """What follows the source: the libraries, found there again at run time."""
        suffix = ".dylib" if sys.platform == "darwin" else ".so"
        folder = self.torch / "lib"
        libraries = [str(folder / f"lib{name}{suffix}") for name in ("torch_cpu", "c10")]
        # What nobody defines is the source's fault, told here and not when it is loaded.
        strict = [] if sys.platform == "darwin" else ["-Wl,--no-undefined"]
        own = shlex.split(os.environ.get("LDFLAGS", ""))
        return ["-shared", *libraries, f"-Wl,-rpath,{folder}", *strict, *own]


def library(source: Path, cache: Path, progress: Progress) -> Path:
    """The library of a source, compiled into `cache` if it isn't there. Of several processes one compiles it.

    Raises:
        BuildError: a tool or package is missing, or the source doesn't compile.

    """
    if reason := unavailable("frontend"):
        raise BuildError(reason)
    try:
        compiler = find_compiler()
        own = tools.sources() / "frontend"
        files = local_files(source)
        headers = local_files(own / "modelconform" / "frontend.h")
    except (LookupError, UnknownInclude) as error:
        raise BuildError(f"{source.name} can't be compiled: {error}") from error
    key = key_of("library", compiler, compiler.link_flags, content_of(source, files), content_of(own, headers))
    target = Cache(cache).folder / _KIND / key

    def make(folder: Path) -> None:
        first = header(compiler, cache, progress)
        progress(f"compiling {source.name} (once) …")
        words = [*compiler.command, *compiler.flags, "-isystem", str(own), "-include", str(first)]
        output = folder / f"{source.stem}.so"
        status, text = run_compiler([*words, str(source), "-o", str(output), *compiler.link_flags], log_of(target))
        if status != 0:
            raise BuildError(failure(source, files, status, text))

    made_once(target, make, progress, f"waiting for another process that compiles {source.name}")
    return target / f"{source.stem}.so"


def has_header(cache: Path) -> bool:
    """Whether torch/torch.h is precompiled. Raises BuildError where a tool or package is missing."""
    return _header_folder(_usable_compiler(), cache).is_dir()


def precompile_header(cache: Path, progress: Progress) -> None:
    """Precompile torch/torch.h, which every source includes, if it isn't yet. Raises BuildError."""
    header(_usable_compiler(), cache, progress)


def _usable_compiler() -> Compiler:
    if reason := unavailable("frontend"):
        raise BuildError(reason)
    try:
        return find_compiler()
    except LookupError as error:
        raise BuildError(str(error)) from error


def find_compiler() -> Compiler:
    """The machine's compiler, for the installed torch. Raises LookupError where there is no torch."""
    command = tools.compiler()
    assert command is not None  # unavailable() has seen it
    torch = tools.package("torch")
    about = subprocess.run([*command, "--version"], capture_output=True, check=False).stdout.decode(errors="replace")
    # Which build it is, CPU or CUDA, isn't in the metadata's version.
    build = (torch / "version.py").read_text()
    version = importlib.metadata.version("torch")
    return Compiler(tuple(command), "clang" in about, torch, f"{about}\n{platform.machine()}\n{version}\n{build}")


def key_of(what: str, compiler: Compiler, *more: object) -> str:
    """The name of a folder for what is compiled: of all that decides what comes of it."""
    text = repr((what, compiler.command, compiler.about, compiler.flags, *more))
    return hashlib.sha256(text.encode()).hexdigest()


def content_of(source: Path, files: Sequence[Path]) -> list[tuple[str, str]]:
    """Names, relative to the source's folder, and digests: a checkout that moves needn't be compiled again."""
    folder = os.path.realpath(source.parent)
    return [(os.path.relpath(file, folder), hash_file(file)) for file in files]


def header(compiler: Compiler, cache: Path, progress: Progress) -> Path:
    """The header to include first; the compiler takes what is precompiled from beside it."""
    target = _header_folder(compiler, cache)

    def make(folder: Path) -> None:
        progress("precompiling torch/torch.h (about 30 s, once; 700 MB) …")
        text_file = folder / _HEADER
        text_file.write_text("#include <torch/torch.h>\n")
        compiled = folder / f"{_HEADER}.{'pch' if compiler.is_clang else 'gch'}"
        words = [*compiler.command, *compiler.flags, "-x", "c++-header", str(text_file), "-o", str(compiled)]
        status, text = run_compiler(words, log_of(target))
        if status != 0:
            raise BuildError(f"torch/torch.h can't be precompiled, {_ended(status)}:\n{_shown(text.splitlines())}")

    return made_once(target, make, progress, "waiting for another process that precompiles torch/torch.h") / _HEADER


def _header_folder(compiler: Compiler, cache: Path) -> Path:
    return Cache(cache).folder / _KIND / key_of("header", compiler)


def run_compiler(command: Sequence[str], log: Path) -> tuple[int, str]:
    """Exit status and output. English, since messages are read for their first error."""
    with log.open("wb") as output:
        try:
            with SPENT.of_children(HARNESS):
                status = run(command, {**os.environ, "LC_ALL": "C"}, output.fileno(), timeout=LIMIT)
        except subprocess.TimeoutExpired as error:
            raise BuildError(f"the compiler took longer than {LIMIT:.0f} s: {shlex.join(command)}") from error
    return status, log.read_text(errors="replace")


def failure(source: Path, files: Sequence[Path], status: int, text: str) -> str:
    """The first error with its place in the case's own files, then what the compiler said."""
    lines = text.splitlines()
    error = next((i for i, line in enumerate(lines) if _ERROR.search(line)), None)
    if error is None:
        undefined = next((line for line in lines if "undefined reference" in line), "")
        what = undefined.rpartition(": ")[2] or _ended(status)
        return f"{source.name} does not link: {what}\n{_shown(lines)}"
    match = _ERROR.search(lines[error])
    assert match is not None
    place = f"{Path(match['file']).name}:{match['line']}"
    if Path(match["file"]) not in (source, *files):
        # In a header, mostly ours: what in the source led there?
        names = {str(file): file.name for file in (source, *files)}
        leads = [lead for line in lines if (lead := _PLACE.match(line)) and lead["file"] in names]
        # That of an #include says least.
        leads.sort(key=lambda lead: lead["include"] is not None)
        if leads:
            place = f"{names[leads[0]['file']]}:{leads[0]['line']} (and {place})"
    return f"{source.name} does not compile: {place}: {match['text']}\n{_shown(lines)}"


def _ended(status: int) -> str:
    return f"the compiler {how_it_ended(status)}"


def _shown(lines: Sequence[str]) -> str:
    cut = [f"({len(lines) - LINES_SHOWN} more lines)"] if len(lines) > LINES_SHOWN else []
    return "\n".join([*lines[:LINES_SHOWN], *cut])
