"""Models of other frameworks as modules: their parameters are PyTorch's, and forward calls the framework.

So everything that is done to a model (digests, runs in float64, runs with all parameters moved by one unit) is done to
these alike. An adapter keeps no state: parameters and inputs go into each call.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils._pytree import tree_map

from ...arrays import Array

_ADAPTERS = {"onnx": "onnx_model", "jax": "jax_model", "keras": "keras_model", "tensorflow": "tensorflow_model"}


class Adapter(Protocol):
    """A model of another framework.

    parameters: floating-point arrays by the framework's names, which the reference's noise is made from. inputs: names
    of the call's arguments, in order; empty if the framework has none.
    """

    parameters: Mapping[str, Array]
    inputs: Sequence[str]

    def run(self, parameters: Mapping[str, Array], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The framework's eager result as a nest of arrays.

        parameters: by the framework's names; args and kwargs: nests of arrays. All floating arrays are float32, or
        float64: raises TypeError where the framework can't compute in that.
        """


class FrameworkModule(torch.nn.Module):
    """An adapter as a module."""

    def __init__(self, framework: str, adapter: Adapter) -> None:
        super().__init__()
        self.framework = framework
        # In a list, since it is shared by copies of the module: it has no state that would differ.
        self._adapter = [_Shared(adapter)]
        self._names: dict[str, str] = {}
        for name, value in adapter.parameters.items():
            own = re.sub(r"\W", "_", name)
            while own in self._names or hasattr(self, own):
                own += "_"
            self._names[own] = name
            self.register_parameter(own, torch.nn.Parameter(_tensor(value), requires_grad=False))

    @property
    def adapter(self) -> Any:
        """The framework's model."""
        return self._adapter[0].value

    def framework_parameters(self) -> dict[str, Array]:
        """The parameters as arrays by the framework's names."""
        return {name: getattr(self, own).detach().numpy() for own, name in self._names.items()}

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """The framework's eager result."""
        args, kwargs = (tree_map(_array, value) for value in (inputs, named))
        returned = self.adapter.run(self.framework_parameters(), args, kwargs)
        return tree_map(_tensor, returned)


class NoisyModule(FrameworkModule):
    """One whose adapter can move each operator's result, and settles first what it is computed by."""

    def settle(self, calls: Sequence[tuple[tuple[Any, ...], Mapping[str, Any]]]) -> list[str]:
        """Decide by some calls, (args, kwargs), what computes the model; what is to be said of that.

        Raises an exception that says why there is nothing to compute it.
        """
        notes: list[str] = self.adapter.settle([tree_map(_array, call) for call in calls])
        return notes

    def run_with_noise(self, seed: int, scale: float, *inputs: Any, **named: Any) -> Any:
        """As forward, with each operator's result moved by `scale` times what is faithful. The same for a seed."""
        args, kwargs = (tree_map(_array, value) for value in (inputs, named))
        returned = self.adapter.run_with_noise(self.framework_parameters(), args, kwargs, seed, scale)
        return tree_map(_tensor, returned)


class _Shared:
    """What a deep copy of a module has in common with it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __deepcopy__(self, memo: Any) -> _Shared:
        return self


def wrap(framework: str, model: Any) -> FrameworkModule:
    """A framework's model as a module. Raises TypeError for what is no model of it."""
    module = importlib.import_module(f"{__name__}.{_ADAPTERS[framework]}")
    adapter = module.adapt(model)
    kind = NoisyModule if hasattr(adapter, "run_with_noise") else FrameworkModule
    return kind(framework, adapter)


def to_torch(value: Any) -> Any:
    """Inputs as a case of any framework gives them (arrays of numpy's, jax's, tensorflow's), as tensors."""
    return tree_map(lambda leaf: leaf if isinstance(leaf, (torch.Tensor, *_PLAIN)) else _tensor(leaf), value)


_PLAIN = (bool, int, float, str, type(None))


def _tensor(value: Any) -> Any:
    if isinstance(value, (torch.Tensor, *_PLAIN)):
        return value
    array = np.asarray(value)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))


def _array(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, torch.Tensor) else value


def by_position(adapter: Adapter, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """The call's arguments in the order of the adapter's inputs. Raises TypeError where they don't fit."""
    given = dict(zip(adapter.inputs, args, strict=False)) | dict(kwargs)
    if len(given) != len(args) + len(kwargs) or set(given) != set(adapter.inputs):
        raise TypeError(f"the model takes {', '.join(adapter.inputs)}, and is given {', '.join(given) or 'nothing'}")
    return [given[name] for name in adapter.inputs]
