"""A model that is an ONNX file: its reference is ONNX's own evaluator, or what takes its place (onnx_yardstick.py)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper

from ...arrays import Array
from . import by_position
from .onnx_yardstick import Choice, choose

_FLOATS = (TensorProto.FLOAT,)


class OnnxAdapter:
    """model: as it was loaded, with its weights."""

    def __init__(self, model: onnx.ModelProto) -> None:
        onnx.checker.check_model(model, full_check=True)
        self.model = model
        held = {tensor.name for tensor in model.graph.initializer}
        self.inputs: Sequence[str] = [value.name for value in model.graph.input if value.name not in held]
        self.outputs = [value.name for value in model.graph.output]
        tensors = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type in _FLOATS}
        self.parameters: Mapping[str, Array] = {
            name: np.array(numpy_helper.to_array(tensor)) for name, tensor in tensors.items()
        }
        self._narrow = {v.name for v in model.graph.input if v.type.tensor_type.elem_type in _FLOATS}
        self._choice: Choice | None = None

    def settle(self, calls: Sequence[tuple[Sequence[Any], Mapping[str, Any]]]) -> list[str]:
        """Decide by these calls what the model is measured by; notes. Raises YardstickFault."""
        feeds = [self._feeds(args, kwargs) for args, kwargs in calls]
        self._choice = choose(self.model, self.parameters, feeds)
        return [self._choice.note] if self._choice.note else []

    def run(self, parameters: Mapping[str, Array], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The graph's outputs, in its order; one of them alone."""
        feeds = self._feeds(args, kwargs)
        given = (*parameters.values(), *(feeds[name] for name in self._narrow if name in feeds))
        # A model of integers whose weights are constants has nothing else to tell it by.
        wide = any(array.dtype == np.float64 for array in given) or torch.get_default_dtype() == torch.float64
        return _alone(self._chosen(feeds).run(parameters, feeds, wide))

    def run_with_noise(
        self, parameters: Mapping[str, Array], args: Sequence[Any], kwargs: Mapping[str, Any], seed: int, scale: float
    ) -> Any:
        """The same with each operator's result moved as another faithful runtime's may be, scale times as far."""
        feeds = self._feeds(args, kwargs)
        return _alone(self._chosen(feeds).run_with_noise(parameters, feeds, seed, scale))

    def _feeds(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Array]:
        arrays = [np.asarray(value) for value in by_position(self, args, kwargs)]
        return dict(zip(self.inputs, arrays, strict=True))

    def _chosen(self, feeds: Mapping[str, Array]) -> Choice:
        """What was settled, or is by the first call, as in a case host that is asked for a diagnosis only."""
        if self._choice is None:
            narrow = {k: v.astype(np.float32) if k in self._narrow else v for k, v in feeds.items()}
            self._choice = choose(self.model, self.parameters, [narrow])
        return self._choice


def _alone(outputs: Sequence[Any]) -> Any:
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def adapt(model: Any) -> OnnxAdapter:
    """Raises TypeError for what is neither a file nor a model."""
    if isinstance(model, (str, os.PathLike)):
        return OnnxAdapter(onnx.load(os.fspath(model)))
    if isinstance(model, onnx.ModelProto):
        return OnnxAdapter(model)
    raise TypeError(f"a model in ONNX is a path or an onnx.ModelProto, not a {type(model).__name__}")
