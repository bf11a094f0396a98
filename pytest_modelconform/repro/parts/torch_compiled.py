"""PyTorch's compiler, on the model or on what was exported of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from .kept_model import KEPT
from .torch_arrays import leaves


def compiled(path: Path, fast: bool, **options: Any) -> Callable[..., Any]:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = fast
    torch.set_float32_matmul_precision("medium" if fast else "highest")
    model = torch.compile(KEPT[0] if KEPT else torch.export.load(path).module(), **options)
    inputs = json.loads((path.parent / "signature.json").read_text())["inputs"]
    dynamic = {value["path"]: [a for a, size in enumerate(value["shape"]) if isinstance(size, str)] for value in inputs}

    def call(*args: Any, **kwargs: Any) -> Any:
        mark({"args": args, "kwargs": kwargs}, "", dynamic)
        return model(*args, **kwargs)

    return call


def mark(value: Any, path: str, dynamic: dict[str, list[int]]) -> None:
    """Tell which dimensions of which tensors vary."""
    if isinstance(value, torch.Tensor):
        for axis in dynamic.get(path, []):
            torch._dynamo.maybe_mark_dynamic(value, axis)
    elif isinstance(value, (dict, list, tuple)):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            mark(entry, f"{path}/{key}", dynamic)


def run_nested(model: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    with torch.no_grad():
        return leaves(model(*args, **kwargs))
