"""Cases that are run step by step, made in this process: their references, and a worker that runs them in eager."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pytest_modelconform.cells import typed
from pytest_modelconform.references import steps
from pytest_modelconform.references.content import StepsAnswer
from pytest_modelconform.references.prepared import Prepared
from pytest_modelconform.workers import tensors
from pytest_modelconform.workers.host.build import Built, build
from pytest_modelconform.workers.host.sequences import chain
from pytest_modelconform.workers.tensors import Tensor
from pytest_modelconform.workers.torch_tensors import decode, encode, to_torch
from tests.support import runs

# A state that is added to, in each step as much as the input says, and looked at through a product.
CASE = """\
import torch
from torch import nn

from pytest_modelconform import Case, Sequence, generic_weights


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(12, 12)
        self.outer = nn.Linear(12, 70)

    def forward(self, x, state):
        after = {after}
        return {{"y": self.outer(after), "state": after}}


def given(step):
    found = {{"x": torch.randn(6, 12)}}
    if step == 0:
        found["state"] = torch.zeros(6, 12)
    return found


case = Case(
    model=lambda: generic_weights(Net()),
    inputs={{"six": lambda: {{"x": torch.randn(6, 12), "state": torch.randn(6, 12)}}}},
    dynamic_shapes={{"x": {{0: "batch"}}, "state": {{0: "batch"}}}},
    sequence=Sequence({sequence}),
    {more}
)
"""
ADDS = "0.7 * state + torch.tanh(self.inner(x))"
USUAL = 'carry={"state": "state"}, steps=4, inputs=given'


def case(after: str = ADDS, sequence: str = USUAL, more: str = "") -> str:
    """The text of a case file. after: how forward makes the next state."""
    return CASE.format(after=after, sequence=sequence, more=more)


def built(folder: Path, text: str, dtype: str = "float32") -> tuple[Built, str]:
    """A case, and its file's path."""
    path = runs.case_file(folder, "steps", text)
    return build(str(path), path.name, path.stem, dtype), str(path)


def answer(folder: Path, text: str, dtype: str = "float32") -> dict[str, Any]:
    """What the host answers for a case's steps; runs and inputs are in the folder."""
    made, path = built(folder, text, dtype)
    return chain.make(made, str(folder), path)


def prepared(folder: Path, text: str) -> Prepared:
    """The references of a case's steps. Raises ModelFault."""
    content = steps.make(folder, msgspec.convert(answer(folder, text), StepsAnswer))
    return Prepared(typed.read(typed.json_of(content), type(content)), "", folder, cached=False)


# What a runtime makes of a step: of its number, and the call's keyword arguments, after the model was called with them.
Fault = Callable[[int, Mapping[str, Any], Any], Any]


class Worker:
    """Runs a case's model as a runtime would, but for a fault of its own. asked: the state that each call was given."""

    def __init__(self, model: Any, fault: Fault | None = None) -> None:
        self.model = model
        self.fault = fault
        self.alive = True
        self.asked: list[Tensor] = []

    def ask(self, op: str, timeout: float, **request: Any) -> dict[str, Any]:
        """Answer a `run` request."""
        assert op == "run"
        found = tensors.read(request["inputs"])
        self.asked.append(found["/kwargs/state"])
        kwargs = {name: decode(tree, lambda key: to_torch(found[key])) for name, tree in request["kwargs"]}
        returned = self.model(**kwargs)
        if self.fault is not None:
            returned = self.fault(len(self.asked), kwargs, returned)
        written: dict[str, Tensor] = {}
        tree = encode(returned, lambda path: f"0{path}", written)
        tensors.write(request["outputs"], written)
        return {"runs": [{"seconds": 0.001, "outputs": tree}], "inputs_changed": []}
