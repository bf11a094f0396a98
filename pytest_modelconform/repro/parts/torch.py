"""PyTorch, loading what it has exported."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import torch

from .torch_arrays import leaves

# Otherwise a package of AOTInductor computes with inputs that don't fit as if they did.
os.environ["AOTI_RUNTIME_CHECK_INPUTS"] = "1"


def load(path: Path, device: str, fast: bool) -> Any:
    signature = json.loads((path.parent / "signature.json").read_text())
    for entry in (*signature.get("operators", ()), *signature.get("containers", ())):
        package, _, function = entry.partition(":")
        module = importlib.import_module(package)  # registers its operators, or classes that hold tensors
        if function:
            getattr(module, function)()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = fast
    torch.set_float32_matmul_precision("medium" if fast else "highest")
    if signature["format"].startswith("torchscript"):
        return torch.jit.load(str(path), map_location=device)
    if signature["format"] == "aoti":
        return torch._inductor.aoti_load_package(str(path))
    program = torch.export.load(path)
    if device != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    return program.module()


def run_nested(model: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    with torch.no_grad():
        return leaves(model(*args, **kwargs))
