"""What the steps came to, in a file that is written after each of them: the machine may be gone at any moment."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_FILE = "results.json"


@dataclass
class Step:
    """What a step came to.

    seconds: wall-clock time. complete: whether it came to its end. status: exit status, of a run of pytest. told: what
    else there is to say of it. most: bytes of the GPU that were in use at the most, by nvidia-smi once a second; 0
    where nobody tells.
    """

    seconds: float = 0.0
    complete: bool = False
    status: int | None = None
    told: dict[str, Any] = field(default_factory=dict)
    most: int = 0


class Kept:
    """Steps by name, below a folder. What can't be read counts as not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        try:
            found = json.loads((folder / _FILE).read_text())
            self.steps = {str(name): Step(**step) for name, step in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self.steps = {}

    def keep(self, name: str, step: Step) -> None:
        """Write a step, so that all are there or the ones before."""
        self.steps[name] = step
        beside = self.folder / f".{_FILE}"
        beside.write_text(json.dumps({name: asdict(step) for name, step in self.steps.items()}, indent=1))
        beside.replace(self.folder / _FILE)

    def is_complete(self, name: str) -> bool:
        """Whether a step needn't be done again."""
        return name in self.steps and self.steps[name].complete
