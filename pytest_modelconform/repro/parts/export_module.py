"""The model itself, as it is."""

from __future__ import annotations

from typing import Any

from .kept_model import KEPT


def export(model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, facts: dict[str, Any]) -> None:
    KEPT.append(model)
