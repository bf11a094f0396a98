"""Models out of installed packages: their files, and their code without what it imports for other purposes."""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock


def file_of(package: str, path: str) -> Path:
    """A file that the package carries. The package isn't imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    return Path(spec.submodule_search_locations[0]) / path


@contextlib.contextmanager
def absent(*packages: str) -> Iterator[None]:
    """Within it, those of the packages that aren't installed can be imported; what they hold does nothing.

    For code that imports what plots, reads sound or prepares data, where only the network is wanted.
    """
    finder = _Nothing([name for name in packages if importlib.util.find_spec(name) is None])
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        # Nobody else takes them for installed.
        for name in [name for name in sys.modules if finder.has(name)]:
            del sys.modules[name]


@contextlib.contextmanager
def unopened(package: str) -> Iterator[None]:
    """Within it, modules of the package can be imported, without what its `__init__` would import."""
    bare = ModuleType(package)
    bare.__path__ = [str(file_of(package, ""))]
    sys.modules[package] = bare
    try:
        yield
    finally:
        del sys.modules[package]


class _Nothing(MetaPathFinder, Loader):
    """Finds the packages and all modules below them, and makes a mock of each."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = packages

    def has(self, name: str) -> bool:
        return name.partition(".")[0] in self.packages

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if self.has(fullname) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return MagicMock(name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass
