"""jax.export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np


def load(path: Path, device: str, fast: bool) -> Any:
    jax.config.update("jax_platforms", device)
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    call = json.loads(path.with_name("call.json").read_text())
    return jax.jit(jax.export.deserialize(bytearray(path.read_bytes())).call), call


def run(model: Any, inputs: dict[str, Any], outputs: list[str]) -> list[Any]:
    function, call = model
    results = function(*(inputs[value["name"]] for value in call["inputs"]))
    found = dict(zip((value["name"] for value in call["outputs"]), results, strict=True))
    return [np.asarray(found[name]) for name in outputs]
