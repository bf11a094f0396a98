"""What faulty exporters were told to get wrong, for processes that never import torch."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def digest() -> str:
    """Of the file that says it: no artifact of one fault is another's."""
    file = os.environ.get("MODELCONFORM_PLANTED", "")
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else ""
