"""`modelconform cmake-dir`: where the C++ library is as a CMake package, for builds of users."""

from __future__ import annotations

import argparse
import sys

from ..building import tools
from ..building.cmake_package import definitions, find
from ..building.harness import ENGINES
from ..cache.made_once import BuildError
from ..cache.store import default_folder

EXAMPLES = """\
  cmake -S . -B build -DCMAKE_PREFIX_PATH="$(modelconform cmake-dir)"
  modelconform cmake-dir --sources
  modelconform cmake-dir --with libtorch

The library is built into the cache on first use.

exit status: 0; 1 if it can't be built or found."""


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
        help="print -D… options for cmake instead, for this library and for the engine of an installed package "
        f"({', '.join(ENGINES)}; may be repeated)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print where the package is, and nothing else, to stdout."""

    def progress(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        if arguments.sources:
            print(tools.sources())
        elif arguments.engines:
            found = definitions(arguments.engines, default_folder(), progress)
            print("\n".join(f"-D{name}={value}" for name, value in found.items()))
        else:
            print(find(default_folder(), progress))
    except (BuildError, LookupError) as error:
        print(f"modelconform cmake-dir: {error}", file=sys.stderr)
        return 1
    return 0
