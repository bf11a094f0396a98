"""Models out of installed packages: their files, and their code without what it imports for other purposes."""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock


def file_of(package: str, path: str) -> Path:
    """A file that the package carries. The package isn't imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    return Path(spec.submodule_search_locations[0]) / path


@contextlib.contextmanager
def absent(*names: str) -> Iterator[None]:
    """Within it, `import` of these modules succeeds where they aren't installed; what they hold does nothing.

    For packages that import what plots, reads sound or prepares data, where only the network is wanted.
    """
    parents = {name: name.partition(".")[0] for name in names}
    missing = [name for name in names if importlib.util.find_spec(parents[name]) is None]
    sys.modules.update({name: MagicMock(name=name) for name in missing})
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]
