"""A model in TensorFlow: something that is called with tensors and has `variables`, as a `tf.Module`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...arrays import Array


class TensorFlowAdapter:
    """model: called eagerly; its tf.functions, too."""

    inputs: Sequence[str] = ()

    def __init__(self, model: Any) -> None:
        self.model = model
        # Names of variables need not be unique.
        self.variables = {f"{number}:{variable.name}": variable for number, variable in enumerate(model.variables)}
        floating = {name: variable for name, variable in self.variables.items() if variable.dtype.is_floating}
        self.parameters: Mapping[str, Array] = {name: variable.numpy() for name, variable in floating.items()}

    @property
    def tracked(self) -> list[Any]:
        """TensorFlow's own variables."""
        return list(self.model.variables)

    def call(self, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What the model returns for tensors."""
        return model(*args, **kwargs)

    def assign(self, parameters: Mapping[str, Array]) -> None:
        """Give the model these parameters."""
        for name, array in parameters.items():
            self.variables[name].assign(array)

    def run(self, parameters: Mapping[str, Array], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """TensorFlow's eager result. Raises TypeError for float64: a variable's dtype can't be changed."""
        if any(array.dtype == np.float64 for array in parameters.values()):
            raise TypeError("variables of TensorFlow keep their dtype")
        self.assign(parameters)
        args, kwargs = tf.nest.map_structure(tf.constant, (tuple(args), dict(kwargs)))
        eager = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(True)
        try:
            return tf.nest.map_structure(np.asarray, self.call(self.model, args, kwargs))
        finally:
            tf.config.run_functions_eagerly(eager)


def adapt(model: Any) -> TensorFlowAdapter:
    """Raises TypeError for what is no such model."""
    if not callable(model) or not hasattr(model, "variables"):
        raise TypeError(f"a model in TensorFlow is callable and has variables, not a {type(model).__name__}")
    return TensorFlowAdapter(model)
