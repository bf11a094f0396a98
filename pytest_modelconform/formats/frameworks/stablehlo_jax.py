"""A case in JAX as StableHLO, by `jax.export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import Signature, flat_signature, in_order
from ..stablehlo import call_of

if TYPE_CHECKING:
    from ...workers.host.build import Built


def export(built: Built, folder: Path) -> Signature:
    """`jax.export.export` of the function with its parameters as constants."""
    model: Any = built.model
    return save(built, model.adapter, model.framework_parameters(), folder)


def save(built: Built, adapter: Any, parameters: Any, folder: Path) -> Signature:
    """Write what format `stablehlo` consists of."""
    import jax
    import jax.export
    import numpy as np

    names = [leaf["path"].strip("/").replace("/", "_") for leaf in built.input_leaves]
    args, kwargs = built.clone_inputs()
    leaves, structure = jax.tree_util.tree_flatten((args, kwargs), is_leaf=lambda value: hasattr(value, "numpy"))
    tensors = [place for place, leaf in enumerate(leaves) if hasattr(leaf, "numpy")]

    def call(*given: Any) -> list[Any]:
        filled = list(leaves)
        for place, value in zip(tensors, given, strict=True):
            filled[place] = value
        own_args, own_kwargs = jax.tree_util.tree_unflatten(structure, filled)
        tree = jax.tree_util.tree_map(np.asarray, adapter.tree_of(parameters))
        return in_order(adapter.function(tree, *own_args, **own_kwargs), built.output_paths)

    # Integers of 64 bits stay what they are, and products have float32's precision wherever they run.
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        stored = jax.export.export(jax.jit(call, keep_unused=True), platforms=["cpu"])(*_avals(built))
    outputs = [f"output.{i}" for i in range(len(stored.out_avals))]
    (folder / "model.jax").write_bytes(stored.serialize())
    (folder / "model.mlirbc").write_bytes(stored.mlir_module_serialized)
    (folder / "call.json").write_text(json.dumps(call_of(stored, names, outputs), indent=1))
    return flat_signature("model.jax", built, names, outputs, names)


def _avals(built: Built) -> list[Any]:
    import jax
    import jax.export

    scope = jax.export.SymbolicScope()
    found = []
    for leaf in built.input_leaves:
        dynamic = any(isinstance(length, str) for length in leaf["shape"])
        said = ", ".join(map(str, leaf["shape"]))
        shape = jax.export.symbolic_shape(said, scope=scope) if dynamic else tuple(leaf["shape"])
        found.append(jax.ShapeDtypeStruct(shape, leaf["dtype"]))
    return found
