"""Calls of a case's model, seeded alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pytest_modelconform.terms import runs as terms

from ...loop import WorkerError
from ...tensors import Tensor
from ...torch_tensors import encode
from ..build import Built
from ..forward import as_written
from ..state import seed_all


def run(
    built: Built,
    key: str,
    model: Callable[..., Any],
    args: Any,
    kwargs: Any,
    purpose: str = "run",
    grad: bool = False,
) -> Any:
    """Call a model. Each run has the same seeds; a model that draws random numbers is told by another purpose."""
    seed_all(built.case.seed, built.name, key, purpose)
    with torch.set_grad_enabled(grad), as_written(model):
        return model(*args, **kwargs)


def add_run(
    built: Built, key: str, k: int, model: Callable[..., Any], inputs: tuple[Any, Any], runs: dict[str, Tensor]
) -> None:
    """Add the k-th noisy run to `runs`, as `add_outputs`."""
    add_outputs(built, key, k, run(built, key, model, *inputs), runs)


def add_outputs(built: Built, key: str, k: int, returned: Any, runs: dict[str, Tensor]) -> None:
    """Add what the k-th noisy run has returned to `runs`. Raises WorkerError where eager returns other outputs.

    Of another shape they may be: how many boxes there are is decided by rounding then.
    """
    found: dict[str, Tensor] = {}
    encode(returned, str, found)
    first = terms.key(terms.FIRST, "")
    eager = {name.removeprefix(first): tensor for name, tensor in runs.items() if name.startswith(first)}
    if {p: t.dtype for p, t in found.items()} != {p: t.dtype for p, t in eager.items()}:
        raise WorkerError(
            f"{where(built, key)}: outputs depend on rounding: with every operator's result moved by its rounding "
            "error the model returns other tensors; choose other inputs, or a threshold that no value is close to",
            "reference",
        )
    runs.update((terms.key(terms.noisy(k), path), tensor) for path, tensor in found.items())


def where(built: Built, key: str) -> str:
    """How messages begin that are of an input set."""
    return f"case {built.name!r}, input set {key!r}"
