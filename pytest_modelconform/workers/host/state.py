"""Global state of the case host: put back between cases, so that no case or exporter changes the next one's result."""

from __future__ import annotations

import hashlib
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
    """A snapshot of the process's global state, taken when it is made."""

    def __init__(self) -> None:
        self.flags = [(owner, name, getattr(owner, name)) for owner, name in _FLAGS]
        self.dtype = torch.get_default_dtype()
        self.fastpath = torch.backends.mha.get_fastpath_enabled()
        self.precision = torch.get_float32_matmul_precision()
        self.deterministic = torch.are_deterministic_algorithms_enabled()

    def restore(self) -> None:
        """Put everything back, and forget what compilers have cached."""
        for owner, name, value in self.flags:
            if getattr(owner, name) != value:
                setattr(owner, name, value)
        # A strict export of torch.func that fails stays inside of it, and random numbers are refused from then on.
        torch._C._functorch.pop_dynamic_layer_stack_and_undo_to_depth(0)
        torch.set_default_dtype(self.dtype)
        torch.set_default_device(None)
        torch.set_grad_enabled(True)
        torch.backends.mha.set_fastpath_enabled(self.fastpath)
        torch.set_float32_matmul_precision(self.precision)
        # Only if needed: the call imports the compiler, which takes seconds.
        if torch.are_deterministic_algorithms_enabled() != self.deterministic:
            torch.use_deterministic_algorithms(self.deterministic)
        if "torch._dynamo" in sys.modules:
            torch._dynamo.reset()


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
