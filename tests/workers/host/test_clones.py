"""Copies of models that never ran."""

from __future__ import annotations

import pytest
import torch

from pytest_modelconform.workers.host.clones import copied


@pytest.mark.filterwarnings("ignore:.*weight_norm")
def test_a_model_that_keeps_what_it_computed_from_its_weights() -> None:
    model: torch.nn.Module = torch.nn.utils.weight_norm(torch.nn.Linear(3, 2))
    made, x = copied(model), torch.rand(1, 3)
    assert torch.equal(made(x), model(x))
    made.get_parameter("weight_g").data.mul_(2)
    assert not torch.equal(made(x), model(x))
    assert not vars(model)["weight"].is_leaf
