"""Global state of the case host: put back between cases, so that no case or exporter changes the next one's result."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import sys
from typing import Any

import torch

# (object, attribute) of the flags that models and exporters change.
_FLAGS: list[tuple[Any, str]] = [
    (torch.backends.cudnn, "enabled"),
    (torch.backends.cudnn, "benchmark"),
    (torch.backends.cudnn, "deterministic"),
    (torch.backends.cudnn, "allow_tf32"),
    (torch.backends.cuda.matmul, "allow_tf32"),
    (torch.backends.mkldnn, "enabled"),
]


class Globals:
    """A snapshot of the process's global state, taken when it is made. Two are equal if they say the same."""

    def __init__(self) -> None:
        self.flags = [(owner, name, getattr(owner, name)) for owner, name in _FLAGS]
        self.dtype = torch.get_default_dtype()
        # The CPU is what there is without one, and is left unsaid: a default device takes part in every call.
        device = torch.get_default_device()
        self.device = None if device.type == "cpu" else device
        self.fastpath = torch.backends.mha.get_fastpath_enabled()
        self.precision = torch.get_float32_matmul_precision()
        self.deterministic = torch.are_deterministic_algorithms_enabled()
        self.folder = _current_folder()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Globals) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def restore(self) -> None:
        """Put everything back, and forget what compilers have cached."""
        for owner, name, value in self.flags:
            if getattr(owner, name) != value:
                setattr(owner, name, value)
        # A strict export of torch.func that fails stays inside of it, and random numbers are refused from then on.
        torch._C._functorch.pop_dynamic_layer_stack_and_undo_to_depth(0)
        torch.set_default_dtype(self.dtype)
        torch.set_default_device(self.device)
        torch.set_grad_enabled(True)
        torch.backends.mha.set_fastpath_enabled(self.fastpath)
        torch.set_float32_matmul_precision(self.precision)
        # Only if needed: the call imports the compiler, which takes seconds.
        if torch.are_deterministic_algorithms_enabled() != self.deterministic:
            torch.use_deterministic_algorithms(self.deterministic)
        if self.folder != _current_folder():
            with contextlib.suppress(OSError):
                os.chdir(self.folder)
        if "torch._dynamo" in sys.modules:
            torch._dynamo.reset()


def _current_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""


# What case files have set while they were imported, by name in sys.modules.
_of_files: dict[str, Globals] = {}


def keep_for(module: str, before: Globals) -> None:
    """Put back what a case file has set while it was imported: it is for the file's own cases, see `enter`."""
    after = Globals()
    if after != before:
        _of_files[module] = after
        before.restore()


def enter(module: str) -> None:
    """Let what a case file has set hold from here on, for one of its cases, until `Globals.restore`.

    A process that imported the file for another request, or none yet, builds the same model then.
    """
    if module in _of_files:
        _of_files[module].restore()


def seed_of(*words: object) -> int:
    """A seed for random numbers from what they are for: the same words give the same seed on every machine."""
    text = "\0".join(str(word) for word in words)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "little")


def seed_all(*words: object) -> None:
    """Seed Python's, numpy's and torch's generators."""
    seed = seed_of(*words)
    random.seed(seed)
    torch.manual_seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
