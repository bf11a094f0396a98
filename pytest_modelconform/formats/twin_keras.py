"""The model written again in Keras, with the same weights, as a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .base import Signature
from .frameworks import TENSORFLOW, tensorflow_saved

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "twin-keras"
NEEDS = ("twin-keras",)
REQUIRES = ("torch",)
HOST = "tensorflow"
ENVIRONMENT = TENSORFLOW


def export(built: Built, folder: Path) -> Signature:
    """Have the case pour its weights into the twin, and save that."""
    from ..workers.host.frameworks.keras_model import adapt

    adapter = adapt(built.case.twins["keras"](built.weights()))
    return tensorflow_saved.save(built, adapter, adapter.parameters, folder)
