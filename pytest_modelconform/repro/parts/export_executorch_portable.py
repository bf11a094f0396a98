"""ExecuTorch's to_edge_transform_and_lower, with portable kernels alone."""

from __future__ import annotations

from typing import Any

from .lower_executorch import lower


def export(model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, facts: dict[str, Any]) -> None:
    lower(model, args, kwargs, dynamic_shapes, facts, [])
