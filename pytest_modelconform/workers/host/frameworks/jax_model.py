"""A model in JAX: a pair of a function and its parameters, as with Flax `(model.apply, variables)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ...arrays import Array


class JaxAdapter:
    """function: called with the nest of parameters, then the inputs. tree: the nest of parameters."""

    inputs: Sequence[str] = ()

    def __init__(self, function: Callable[..., Any], tree: Any) -> None:
        self.function = function
        leaves, self.structure = jax.tree_util.tree_flatten_with_path(tree)
        self.names = [jax.tree_util.keystr(path) or "parameters" for path, _ in leaves]
        self.leaves = [np.asarray(leaf) for _, leaf in leaves]
        found = zip(self.names, self.leaves, strict=True)
        self.parameters = {name: leaf for name, leaf in found if leaf.dtype.kind == "f"}

    def tree_of(self, parameters: Mapping[str, Array]) -> Any:
        """The nest of parameters with these values."""
        leaves = [parameters.get(name, leaf) for name, leaf in zip(self.names, self.leaves, strict=True)]
        return jax.tree_util.tree_unflatten(self.structure, leaves)

    def run(self, parameters: Mapping[str, Array], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The function's result without `jit`, every product in full precision."""
        # Otherwise int64 inputs become int32, float64 float32.
        with jax.enable_x64(True), jax.default_matmul_precision("highest"):
            tree = jax.tree_util.tree_map(jax.numpy.asarray, self.tree_of(parameters))
            returned = self.function(
                tree, *map(_arrays, args), **{name: _arrays(value) for name, value in kwargs.items()}
            )
            return jax.tree_util.tree_map(np.asarray, returned)


def _arrays(value: Any) -> Any:
    return jax.tree_util.tree_map(lambda leaf: jax.numpy.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, value)


def adapt(model: Any) -> JaxAdapter:
    """Raises TypeError for what is no such pair."""
    if not (isinstance(model, tuple) and len(model) == 2 and callable(model[0])):
        raise TypeError(f"a model in JAX is a pair (function, parameters), not a {type(model).__name__}")
    return JaxAdapter(*model)
