"""What the runtimes of other versions of PyTorch have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .. import environments
from ..environments import Environment
from .base import WORKERS, python_worker


def command(
    environment: Environment, device: str, threads: int, cache: Path, progress: Callable[[str], None]
) -> list[str]:
    """The command line of the usual worker under another version."""
    python = environments.python(environment, cache, progress)
    return python_worker(WORKERS / "python" / "torch_worker.py", device, threads, python)
