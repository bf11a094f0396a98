"""What the formats have in common that quantise a model by themselves."""

from __future__ import annotations

from collections.abc import Mapping

from ..terms.case import DEFAULTS


def limits(reason: str) -> Mapping[str, str]:
    """That such a format makes less exact what is in float32, and has no use for a case in another dtype."""
    return {f"dtype:{dtype}": reason for dtype in DEFAULTS if dtype != "float32"}
