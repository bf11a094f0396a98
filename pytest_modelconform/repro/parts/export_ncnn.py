"""pnnx, on a trace."""

from __future__ import annotations

import subprocess
from typing import Any

import pnnx
import torch

from .tensor_files import HERE
from .trace_model import traced

TYPES = {"float": "f", "bfloat": "bf", "int": "i", "uint": "u", "complex": "c"}


def export(model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, facts: dict[str, Any]) -> None:
    torch.jit.save(traced(model, args, kwargs), HERE / "model.pt")
    command = [pnnx.EXEC_PATH, "model.pt", f"inputshape={shapes(facts['inputs'], 'actual')}"]
    if facts["other"]:
        command.append(f"inputshape2={shapes(facts['other'], 'actual')}")
    print(*command, "fp16=0")
    subprocess.run([*command, "fp16=0"], cwd=HERE, check=True)
    assert (HERE / "model.ncnn.param").exists(), "pnnx has written no model"


def shapes(leaves: list[dict[str, Any]], key: str) -> str:
    """As pnnx takes them: [2,3,64,64]f32,[2]i64."""
    found = []
    for leaf in leaves:
        kind = leaf["dtype"].rstrip("0123456789")
        found.append(f"[{','.join(map(str, leaf[key]))}]{TYPES[kind]}{leaf['dtype'].removeprefix(kind)}")
    return ",".join(found)
