"""The worker of `torch` with one thing wrong, which the variable WRONG names. The smoke model is left alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from modelconform_workers.python import torch_worker
from torch.utils._pytree import tree_map

Model = Callable[..., Any]


def swapped(model: Model) -> Model:
    return lambda *args: tuple(reversed(model(*args)))


def narrow(model: Any) -> Model:
    """All of it in bfloat16."""
    model = model.to(torch.bfloat16)

    def run(*args: torch.Tensor) -> Any:
        returned = model(*(value.to(torch.bfloat16) for value in args))
        return tree_map(lambda value: value.float(), returned)

    return run


def baked(model: Model) -> Model:
    """What came first comes always."""
    kept: list[Any] = []

    def run(*args: torch.Tensor) -> Any:
        kept.append(model(*args))
        return tree_map(torch.clone, kept[0])

    return run


def noisy(model: Model) -> Model:
    """Errors that follow no pattern, and are the same each time."""

    def run(*args: torch.Tensor) -> Any:
        generator = torch.Generator().manual_seed(1)
        return tree_map(lambda value: value + 0.3 * torch.randn(value.shape, generator=generator), model(*args))

    return run


def tails(model: Model) -> Model:
    """Right to 1e-7, however small a value is."""
    return lambda *args: tree_map(lambda value: (value * 2e7).round() / 2e7, model(*args))


WRONG = {"swapped": swapped, "narrow": narrow, "baked": baked, "noisy": noisy, "tails": tails}
load_right = torch.jit.load


def load_wrong(path: str, **options: Any) -> Any:
    model = load_right(path, **options)
    smoke = b"modelconform_smoke" in Path(path).read_bytes()
    return model if smoke else WRONG[os.environ["WRONG"]](model)


torch.jit.load = load_wrong  # type: ignore[assignment]
handlers = torch_worker.handlers
