"""Which files a C++ source of a case consists of. Reads text only; the compiler is in case_library.py."""

from __future__ import annotations

import os
import re
from pathlib import Path

SUFFIXES = (".cpp", ".cc", ".cxx")
# #include "file", or of something that the preprocessor has to say.
_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*(?:"(?P<file>[^"\n]+)"|(?P<macro>[A-Za-z_]\w*))', re.MULTILINE)


class UnknownInclude(ValueError):
    """An `#include` whose file only the preprocessor knows. The message names file and line."""


def local_files(source: Path) -> list[Path]:
    """A source and all that it includes in quotes, and these in turn; also those that don't exist.

    More than the compiler reads, where an `#include` is in a comment or under an `#if`: what is made from the files is
    then made anew more often than needed, never less. Raises UnknownInclude for an `#include` of a macro.
    """
    return list(_found(source))


def paths(source: Path) -> set[str]:
    """The same files, and the links that name some of them: these may point at others later."""
    found = _found(source)
    links = {str(name) for file, names in found.items() for name in names if os.path.normpath(name) != str(file)}
    return {str(file) for file in found} | links


def _found(source: Path) -> dict[Path, list[Path]]:
    """The files, each with the paths that name it."""
    found = {Path(os.path.realpath(source)): [source.absolute()]}
    to_read = list(found)
    for file in to_read:
        try:
            text = file.read_bytes()
        except OSError:
            continue
        for match in _INCLUDE.finditer(text):
            if match["macro"]:
                line = text.count(b"\n", 0, match.start("macro")) + 1
                name = match["macro"].decode()
                raise UnknownInclude(f"{file}:{line}: #include of the macro {name}: write the file's name in quotes")
            name = os.fsdecode(match["file"])
            included = Path(os.path.realpath(file.parent / name))
            if included not in found:
                found[included] = []
                to_read.append(included)
            found[included].append(found[file][0].parent / name)
    return found
