"""Artifacts that run in this process: as they are, with other tensors or operators, and in float64."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from pytest_modelconform.cells.answers import Run, named_outputs, run_request
from pytest_modelconform.references.prepared import InputSet
from pytest_modelconform.terms.signature import Signature
from pytest_modelconform.workers import arrays, tensors
from pytest_modelconform.workers.host.references.float64 import Widened, run_wide
from pytest_modelconform.workers.torch_tensors import decode, encode, to_torch

from .float64 import evaluate, in_double

# The tensors of an input set, by path.
Inputs = Mapping[str, torch.Tensor]
# Something that is active while a model runs: a mode that changes operators, a backend's flag.
Around = Callable[[], contextlib.AbstractContextManager[Any]]


class NoFloat64(Exception):
    """A fault can't be computed without rounding."""


def read_inputs(entry: InputSet) -> dict[str, torch.Tensor]:
    """The tensors of an input set, with their strides."""
    return {path: to_torch(tensor) for path, tensor in tensors.read(str(entry.file)).items()}


class Artifact(Protocol):
    """A stored model that can be run, changed and evaluated without rounding."""

    @property
    def format(self) -> str:
        """The format's name."""

    @property
    def runtime(self) -> str:
        """The runtime's name."""

    def run(self, entry: InputSet, inputs: Inputs) -> Run:
        """What the runtime returns. Raises whatever it raises."""

    def exact(self, entry: InputSet, inputs: Inputs) -> Run:
        """The same in float64. Raises NoFloat64."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """Floating weights by name."""

    def with_tensors(self, values: Mapping[str, torch.Tensor]) -> Artifact:
        """A copy with other weights."""


@dataclass(frozen=True)
class TorchArtifact:
    """A module that is called like the model itself: TorchScript, or, where none passes, the model."""

    format: str
    module: Any
    around: Around = contextlib.nullcontext
    runtime: str = "torch"

    def run(self, entry: InputSet, inputs: Inputs) -> Run:
        args, kwargs = self._arguments(entry, inputs)
        return self._call(self.module, args, kwargs)

    def exact(self, entry: InputSet, inputs: Inputs) -> Run:
        args, kwargs = self._arguments(entry, inputs)
        # run_wide returns what the model returns, which here is a run already.
        found, impure = run_wide(Widened(self.module).copy(), args, kwargs, self._call)
        if found is None:
            raise NoFloat64(impure)
        run: Run = found
        return run

    def _arguments(self, entry: InputSet, inputs: Inputs) -> tuple[list[Any], dict[str, Any]]:
        def feed(path: str) -> torch.Tensor:
            return inputs[path].clone(memory_format=torch.preserve_format)

        return [decode(dict(tree), feed) for tree in entry.args], {
            name: decode(tree, feed) for name, tree in entry.kwargs
        }

    def _call(self, module: Any, args: list[Any], kwargs: dict[str, Any]) -> Run:
        with torch.no_grad(), self.around():
            returned = module(*args, **kwargs)
        found: dict[str, tensors.Tensor] = {}
        tree = encode(returned, str, found)
        return tree, {key: arrays.to_array(tensor) for key, tensor in found.items()}

    def tensors(self) -> dict[str, torch.Tensor]:
        return {name: value for name, value in self.module.state_dict().items() if value.is_floating_point()}

    def with_tensors(self, values: Mapping[str, torch.Tensor]) -> TorchArtifact:
        module = copy.deepcopy(self.module)
        state = module.state_dict()
        with torch.no_grad():
            for name, value in values.items():
                state[name].copy_(value)
        return TorchArtifact(self.format, module, self.around)

    def with_around(self, around: Around) -> TorchArtifact:
        """The same module, run inside of `around()`."""
        return TorchArtifact(self.format, self.module, around)


class OnnxArtifact:
    """An ONNX model in ONNX Runtime; the session is made when the first input set is run."""

    runtime = "ort"

    def __init__(self, format_name: str, model: onnx.ModelProto, signature: Signature) -> None:
        self.format = format_name
        self.model = model
        self.signature = signature
        self._session: Any = None
        self._double: onnx.ModelProto | None = None

    def run(self, entry: InputSet, inputs: Inputs) -> Run:
        if self._session is None:
            self._session = session(self.model.SerializeToString())
        return self.answer(entry, inputs, self._session.run)

    def exact(self, entry: InputSet, inputs: Inputs) -> Run:
        if self._double is None:
            self._double = in_double(self.model)
        model = self._double

        def call(fetches: list[str], feeds: dict[str, Any]) -> list[Any]:
            try:
                return evaluate(model, fetches, feeds)
            except Exception as error:
                raise NoFloat64(f"{type(error).__name__}: {error}") from error

        wide = {path: value.double() if value.dtype == torch.float32 else value for path, value in inputs.items()}
        return self.answer(entry, wide, call)

    def answer(self, entry: InputSet, inputs: Inputs, call: Callable[[list[str], dict[str, Any]], Any]) -> Run:
        """Call something that takes wanted outputs and arrays by name, and put its outputs in the model's structure."""
        request = run_request(self.signature, entry)
        feeds = {name: np.array(inputs[path].numpy(), order="K") for name, path in request["feeds"]}
        found = dict(zip(request["fetches"], call(request["fetches"], feeds), strict=True))
        tree = {"dict": [[name, {"tensor": name}] for name in found]}
        return named_outputs(tree, self.signature, entry.outputs), {k: np.asarray(v) for k, v in found.items()}

    def tensors(self) -> dict[str, torch.Tensor]:
        return {
            tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
            for tensor in self.model.graph.initializer
            if tensor.data_type == onnx.TensorProto.FLOAT
        }

    def with_tensors(self, values: Mapping[str, torch.Tensor]) -> OnnxArtifact:
        model = self.copied()
        for tensor in model.graph.initializer:
            if tensor.name in values:
                tensor.CopyFrom(numpy_helper.from_array(values[tensor.name].numpy(), tensor.name))
        return self.with_model(model)

    def copied(self) -> onnx.ModelProto:
        """A copy of the model, to be changed."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        return model

    def with_model(self, model: onnx.ModelProto) -> OnnxArtifact:
        """The artifact of a changed model."""
        return OnnxArtifact(self.format, model, self.signature)


def session(model: bytes, threads: int = 1, level: str = "ORT_ENABLE_ALL") -> Any:
    """ONNX Runtime's session of a serialised model, as the worker makes it but for threads and level."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def load(format_name: str, folder: Path, signature: Signature) -> Artifact:
    """The artifact in a folder."""
    path = folder / signature.file
    if signature.layout == "flat":
        return OnnxArtifact(format_name, onnx.load(path), signature)
    return TorchArtifact(format_name, torch.jit.load(path))  # type: ignore[no-untyped-call]
