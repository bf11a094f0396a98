"""A model's program, of a copy of the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.workers.host.parts import submodules
from tests.workers.host.parts import models

# It is old, and much used: by wav2vec 2.0, HiFi-GAN and others.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The tensor attribute .* was assigned during export:UserWarning"),
]
INIT = "self.linear = nn.utils.weight_norm(nn.Linear(8, 8))"


def test_a_model_with_weights_that_it_computes_can_be_taken_apart(tmp_path: Path) -> None:
    """`deepcopy` refuses what weight_norm keeps until the first call."""
    found = models.program(tmp_path, "return self.linear(x).relu()", init=INIT)
    assert models.targets(found)[-2:] == ["aten.linear.default", "aten.relu.default"]
    x = found.built.clone_inputs()[0][0]
    assert found.module(x).equal(found.built.model(x))


def test_so_can_its_modules(tmp_path: Path) -> None:
    found = models.program(tmp_path, "return self.linear(x).relu()", init=INIT)
    [call] = submodules.calls(found.built, "one", "linear")
    module, given = submodules.alone(call)
    assert module(*given).equal(found.built.model.get_submodule("linear")(*given))
