"""The weights alone, by name, as safetensors: for models whose code exists in another language, too."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

from ..terms.cell import TASKS as TASKS  # artifacts can be trained, too
from .base import Signature, tree_signature

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "state-dict"
SUFFIXES = (".safetensors",)
REQUIRES = ("torch",)
MAIN = True
NEEDS = ("cpp",)
FILE = "model.safetensors"


def memory(size: int) -> float:
    """Bytes of memory that the exporter takes beside a model of `size` bytes."""
    return 0.2 * size


def export(built: Built, folder: Path) -> Signature:
    """Write `state_dict()`. The signature says what the file can't: see docs/architecture.md, "The signature".

    Raises TypeError for a state_dict with more than tensors in it.
    """
    import torch

    from ..workers import tensors
    from ..workers.host.forward import signature
    from ..workers.torch_tensors import view_of

    state = built.model.state_dict()
    others = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise TypeError(f"the state_dict holds more than tensors, which safetensors can't store: {', '.join(others)}")
    tensors.write(str(folder / FILE), {name: view_of(value) for name, value in state.items()})
    buffers = [name for name, _ in built.model.named_buffers(remove_duplicate=False)]
    parameters = signature(built.model).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        **tree_signature(FILE),
        "parameters": [name for name, _ in built.model.named_parameters()],
        "buffers": [name for name in buffers if name in state],
        "cpp": built.cpp,
        # As the worker is told at `load`.
        "frontend": {
            "dtype": built.dtype,
            "mode": built.case.mode,
            "arguments": [p.name for p in parameters if p.kind not in variable],
            "computed": [name for name in buffers if name not in state],
        },
    }
