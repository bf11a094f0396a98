"""The model written again in JAX, with the same weights, as StableHLO."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .base import Signature
from .frameworks import stablehlo_jax

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "twin-jax"
SUFFIXES = (".jax",)
NEEDS = ("twin-jax",)
REQUIRES = ("torch", "jax")
HOST = "jax"


def export(built: Built, folder: Path) -> Signature:
    """Have the case pour its weights into the twin, and store that."""
    from ..workers.host.frameworks.jax_model import adapt

    adapter = adapt(built.case.twins["jax"](built.weights()))
    return stablehlo_jax.save(built, adapter, adapter.parameters, folder)
