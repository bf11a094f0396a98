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
    found = [Path(os.path.realpath(source))]
    for file in found:
        try:
            text = file.read_bytes()
        except OSError:
            continue
        for match in _INCLUDE.finditer(text):
            if match["macro"]:
                line = text.count(b"\n", 0, match.start("macro")) + 1
                name = match["macro"].decode()
                raise UnknownInclude(f"{file}:{line}: #include of the macro {name}: write the file's name in quotes")
            included = Path(os.path.realpath(file.parent / os.fsdecode(match["file"])))
            if included not in found:
                found.append(included)
    return found
