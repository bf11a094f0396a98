"""Functions that open files in C++ or Rust, of which Python tells nobody: what they are given counts as opened.

Not complete: a case names other files in `Case(files=…)`. Here is what models and inputs are usually read with.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from . import files

# By module; of a class the method that opens. What Python opens itself is no part of it: torch.load, numpy, PIL, onnx.
READERS: Mapping[str, Sequence[str]] = {
    "cv2": ("imread",),
    "h5py": ("File.__init__",),
    "safetensors": ("safe_open",),
    "sentencepiece": ("SentencePieceProcessor.LoadFromFile",),
    "soundfile": ("SoundFile.__init__",),
    "tensorflow.python.saved_model.load": ("load",),
    "torch.export": ("load",),
    "torch.jit": ("load",),
    "torch.package.package_importer": ("PackageImporter.__init__",),
    "torchvision.io.image": ("read_file",),
}


def install() -> None:
    """Have them watched: at once where their module is there, else as soon as somebody imports it.

    None is imported for that: what is installed and not asked for is no part of a result (workers/lookups.py).
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    for name in READERS:
        if (module := sys.modules.get(name)) is not None:
            _watch(name, module)
    sys.meta_path.insert(0, _Finder())


def _watch(of: str, module: ModuleType) -> None:
    for reader in READERS[of]:
        *within, name = reader.split(".")
        owner: Any = module
        for part in within:
            owner = getattr(owner, part, None)
        # Another version may have it elsewhere. What stands in for a package (a mock) may let nobody set it.
        if hasattr(owner, name):
            with contextlib.suppress(AttributeError, TypeError):
                files.watch(owner, name)


class _Finder:
    """Finds what the other finders find, and has it watched when it has been executed."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        if name not in READERS:
            return None
        spec = next(filter(None, (one.find_spec(name, path, target) for one in sys.meta_path if one is not self)), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            _watch_when_executed(spec)
        return spec


def _watch_when_executed(spec: ModuleSpec) -> None:
    loader: Any = spec.loader
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        # Python's finders make a loader for each module, others have one for all.
        if getattr(module.__spec__, "name", None) == spec.name:
            _watch(spec.name, module)

    loader.exec_module = exec_module
