"""A model in Keras 3 on TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from ...arrays import Array


class KerasAdapter:
    """model: a `keras.Model` or layer that has its weights."""

    inputs: Sequence[str] = ()

    def __init__(self, model: Any) -> None:
        self.model = model
        self.names = [_name(number, variable) for number, variable in enumerate(model.variables)]
        found = dict(zip(self.names, (variable.numpy() for variable in model.variables), strict=True))
        self.parameters: Mapping[str, Array] = {name: array for name, array in found.items() if array.dtype.kind == "f"}
        self._wide: Any = None

    @property
    def tracked(self) -> list[Any]:
        """TensorFlow's own variables."""
        return [variable.value for variable in self.model.variables]

    def call(self, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What the model returns for inputs as the case gives them: several are a list to Keras, named ones a dict."""
        given = dict(kwargs) if kwargs else args[0] if len(args) == 1 else list(args)
        return model(given, training=False)

    def assign(self, parameters: Mapping[str, Array], model: Any = None) -> None:
        """Give the model these parameters, by `self.names`."""
        for name, variable in zip(self.names, (model or self.model).variables, strict=True):
            if name in parameters:
                variable.assign(parameters[name])

    def run(self, parameters: Mapping[str, Array], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Keras' eager result."""
        if any(array.dtype == np.float64 for array in parameters.values()):
            return self._run_wide(parameters, args, kwargs)
        self.assign(parameters)
        return keras.tree.map_structure(np.asarray, self.call(self.model, args, kwargs))

    def _run_wide(self, parameters: Mapping[str, Array], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        before = keras.config.floatx()
        keras.config.set_floatx("float64")
        try:
            if self._wide is None:
                self._wide = self._in_float64(args, kwargs)
            self.assign(parameters, self._wide)
            found = keras.tree.map_structure(np.asarray, self.call(self._wide, args, kwargs))
        finally:
            keras.config.set_floatx(before)
        if any(leaf.dtype == np.float32 for leaf in keras.tree.flatten(found)):
            raise TypeError("a layer of the model returns float32 in a model of float64")
        return found

    def _in_float64(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The model anew from its configuration. Raises what Keras raises for a model that gives none."""
        wide = type(self.model).from_config(_widened(self.model.get_config()))
        self.call(wide, args, kwargs)  # which makes its variables
        for own, variable in zip(self.model.variables, wide.variables, strict=True):
            variable.assign(own.numpy())
        return wide


def _name(number: int, variable: Any) -> str:
    """A variable's name: the same each time that the model is built.

    Keras numbers layers through a process's life: the first convolution of the second model is "conv2d_2".
    """
    path = re.sub(r"_\d+(?=/|$)", "", variable.path)
    return f"{number}:{path}"


def _widened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _widened(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_widened(entry) for entry in value)
    return "float64" if value == "float32" else value


def adapt(model: Any) -> KerasAdapter:
    """Raises TypeError for what is no layer, and for one that has no variables yet."""
    if not isinstance(model, keras.layers.Layer):
        raise TypeError(f"a model in Keras is a keras.Model or layer, not a {type(model).__name__}")
    if not model.built:
        raise TypeError("the model has no variables yet: give it an Input layer, or call it once before returning it")
    return KerasAdapter(model)
