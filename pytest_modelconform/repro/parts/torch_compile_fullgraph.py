"""torch.compile of a whole graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .torch_compiled import compiled


def load(path: Path, device: str, fast: bool) -> Any:
    return compiled(path, fast, fullgraph=True)
