"""Models written in C++ with `torch::nn`: the case's own source, compiled here, with the weights poured in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..building import case_library, harness
from ..terms.cell import TASKS as TASKS  # it can train, too

NAME = "cpp-frontend"
ENGINE = "frontend"
FORMATS = ("state-dict",)
DEVICES = ("cpu", "cuda")
REQUIRES = harness.ENGINES[ENGINE].requires
MAIN = True
PRECISIONS = ("full", "fast")


def unavailable(device: str) -> str | None:
    """None if the harness can be built, else what it lacks."""
    return harness.unavailable(ENGINE)


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line; builds the harness on first use."""
    return [str(harness.executable(ENGINE, cache, progress)), "--worker", "--device", device, "--threads", str(threads)]


def build(signature: dict[str, Any], cache: Path, progress: Callable[[str], None]) -> dict[str, Any]:
    """Compile the case's C++ source; `load` is told where its library is."""
    library = case_library.library(Path(signature["cpp"]), cache, progress)
    return {"frontend": {"library": str(library), **signature["frontend"]}}
