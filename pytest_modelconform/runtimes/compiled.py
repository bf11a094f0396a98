"""What the runtimes have in common that are `torch.compile`, each with other options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..building.tools import lacking_inductors_compiler
from ..environments.packages import missing_packages
from .base import WORKERS, python_worker
from .base import load_request as usual_request

# The model in a process that imports its case, and what was exported, in one that doesn't.
FORMATS = ("module", "export")
REQUIRES = ("torch",)
OPERATORS = ("torch", "modules")
FAMILY = "torch-compile"


def load_request_with(options: Mapping[str, Any]) -> Callable[[Path, dict[str, Any]], dict[str, Any]]:
    """A runtime's `load_request`. options: for `torch.compile`."""
    return partial(_load_request, options)


def _load_request(options: Mapping[str, Any], artifact: Path, signature: dict[str, Any]) -> dict[str, Any]:
    inputs = signature.get("inputs") or []
    found = {value["path"]: [a for a, size in enumerate(value["shape"]) if isinstance(size, str)] for value in inputs}
    # dynamic: by path of a tensor the dimensions that the case lets vary. case: what is built, see `Format.IN_PLACE`.
    dynamic = {path: axes for path, axes in found.items() if axes}
    request = {**usual_request(artifact, signature), "options": dict(options), "dynamic": dynamic}
    return request | ({"case": signature["case"]} if "case" in signature else {})


def unavailable(device: str) -> str | None:
    """None if there are PyTorch and a C++ compiler, else a sentence."""
    return missing_packages(REQUIRES) or lacking_inductors_compiler()


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "compile_worker.py", device, threads)
