"""Functions of `jax.export`, called without what they were made with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np

from .. import flat
from ..arrays import Array
from ..loop import Handlers


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    jax.config.update("jax_platforms", device)
    # Without it 64-bit integers and floats become 32-bit ones on the way in.
    jax.config.update("jax_enable_x64", True)
    # A product of matrices says itself how precise it has to be; this is for what doesn't.
    jax.config.update("jax_default_matmul_precision", "highest")

    def load(request: dict[str, Any]) -> flat.Model:
        path = Path(request["model"])
        function = jax.jit(jax.export.deserialize(bytearray(path.read_bytes())).call)
        call = json.loads(path.with_name("call.json").read_text())
        inputs = [value["name"] for value in call["inputs"]]
        outputs = [value["name"] for value in call["outputs"]]

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            found = dict(zip(outputs, function(*(feeds[name] for name in inputs)), strict=True))
            return [np.asarray(found[name]) for name in fetches]

        return model

    return flat.handlers({"name": "jax", "version": jax.__version__, "devices": ["cpu"]}, load)
