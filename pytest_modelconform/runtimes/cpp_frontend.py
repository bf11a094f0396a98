"""Models written in C++ with `torch::nn`: the case's own source, compiled here, with the weights poured in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..building import case_library
from ..terms.cell import TASKS as TASKS  # it can train, too
from . import cpp

NAME = "cpp-frontend"
FAMILY = "torch"
ENGINE = "frontend"
FORMATS = ("state-dict",)
DEVICES = ("cpu", "cuda")
REQUIRES, unavailable, command = cpp.worker(ENGINE)
MAIN = True
PRECISIONS = ("full", "fast")


def build(signature: dict[str, Any], cache: Path, progress: Callable[[str], None]) -> dict[str, Any]:
    """Compile the case's C++ source; `load` is told where its library is."""
    library = case_library.library(Path(signature["cpp"]), cache, progress)
    return {"frontend": {"library": str(library), **signature["frontend"]}}
