"""An exporter, in the case host: the model is always 3x + 1, so that there is nothing to store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_modelconform.formats.base import Signature, tree_signature

if TYPE_CHECKING:
    from pytest_modelconform.workers.host.build import Built


def export(built: Built, folder: Path) -> Signature:
    """A file, so that there is one."""
    (folder / "model.txt").write_text("3x + 1")
    return tree_signature("model.txt", [])
