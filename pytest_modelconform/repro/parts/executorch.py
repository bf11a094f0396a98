"""ExecuTorch's runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from executorch.runtime import Runtime

from .torch_arrays import to_numpy, to_torch


def load(path: Path, device: str, fast: bool) -> Any:
    program = Runtime.get().load_program(str(path))
    # The method reads from the program, and doesn't keep it alive.
    return program, program.load_method("forward"), json.loads((path.parent / "signature.json").read_text())


def run(model: Any, inputs: dict[str, Any], outputs: list[str]) -> list[Any]:
    _, method, signature = model
    # The flattened call: tensors by name, and constants.
    given = [to_torch(inputs[a["name"]]) if "name" in a else a["value"] for a in signature["call"]]
    results = method.execute(given)
    names = [value["name"] for value in signature["outputs"]]
    found = dict(zip(names, (results[i] for i in signature["returns"]), strict=True))
    return [to_numpy(found[name]) for name in outputs]
