"""Builds the model and calls the exporter."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from typing import Any

import torch

from .tensor_files import HERE, read
from .torch_arrays import to_torch


class StandIn:
    """For the test suite that the model's file is written for: keeps what it is given."""

    def __init__(self, *args: Any, mode: str = "eval", dynamic_shapes: Any = None, **fields: Any) -> None:
        self.__dict__.update(fields, mode=mode, dynamic_shapes=dynamic_shapes)


def case_of(facts: dict[str, Any]) -> Any:
    suite: Any = types.ModuleType("pytest_modelconform")
    suite.Case = suite.Export = suite.Tolerance = suite.Train = StandIn
    suite.generic_weights = lambda module, *args, **options: module  # the weights are in a file
    sys.modules["pytest_modelconform"] = suite
    sys.path[:0] = [str(HERE / folder) for folder in facts["path"]]
    spec = importlib.util.spec_from_file_location("case_file", HERE / facts["file"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["case_file"] = module
    spec.loader.exec_module(module)
    return next(getattr(module, name) for name in facts["names"] if hasattr(module, name))


def dimensions(spec: Any, known: dict[str, Any]) -> Any:
    """A string stands for a dimension of that name."""
    if isinstance(spec, str):
        return known.setdefault(spec, torch.export.Dim(spec))
    if isinstance(spec, dict):
        return {key: dimensions(value, known) for key, value in spec.items()}
    if isinstance(spec, (list, tuple)):
        return type(spec)(dimensions(value, known) for value in spec)
    return spec


def model_of(facts: dict[str, Any], case: Any) -> Any:
    dtype = getattr(torch, facts["dtype"])
    torch.manual_seed(0)
    model = case.model().train(case.mode == "train")
    if facts["dtype"] != "float32":
        model._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)
    if facts["weights"]:
        model.load_state_dict({name: to_torch(array) for name, array in read(facts["weights"]).items()})
    return model.to(facts["device"])


def returned(facts: dict[str, Any], model: Any, call: Callable[..., Any], file: str) -> Any:
    """What the model itself returns for the inputs in a file."""
    args, kwargs = call({name: to_torch(array).to(facts["device"]) for name, array in read(file).items()})
    with torch.no_grad():
        return model(*args, **kwargs)


def export_model(facts: dict[str, Any], export: Callable[..., None]) -> int:
    case = case_of(facts)
    model = model_of(facts, case)
    returned(facts, model, facts["call"], facts["inputs_file"])
    print("the model itself runs; exporting it")
    inputs = {name: to_torch(array).to(facts["device"]) for name, array in read(facts["inputs_file"]).items()}
    args, kwargs = facts["call"](inputs)
    export(model, args, kwargs, dimensions(case.dynamic_shapes, {}), facts)
    print("exported")
    return 0
