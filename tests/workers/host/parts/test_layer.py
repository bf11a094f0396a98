"""Submodules as the layers of torch.nn that they are."""

from __future__ import annotations

import types
from typing import cast

import pytest
import torch
from torch import nn

from pytest_modelconform.workers.host.build import Built
from pytest_modelconform.workers.host.parts.layer import Layer, constructed, layer
from pytest_modelconform.workers.host.parts.sizes import Finder
from pytest_modelconform.workers.host.parts.source import Unwritable
from pytest_modelconform.workers.host.parts.submodules import Alone


def made(module: nn.Module, *inputs: torch.Tensor) -> Layer:
    built = types.SimpleNamespace(model=module.eval(), clone_inputs=lambda key: (inputs, {}))
    return layer(cast(Built, built), "one")


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (nn.LSTM(5, 3, batch_first=True), "torch.nn.LSTM(5, 3, batch_first=True)"),
        (nn.Flatten(1), "torch.nn.Flatten(start_dim=1, end_dim=-1)"),
        (
            nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.GELU("tanh"))),
            "torch.nn.Sequential(torch.nn.Linear(in_features=2, out_features=3, bias=True), "
            "torch.nn.Sequential(torch.nn.GELU(approximate='tanh')))",
        ),
    ],
)
def test_a_layer_says_how_it_is_made(module: nn.Module, text: str) -> None:
    assert constructed(module) == text


class Own(nn.Linear):
    pass


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Own(2, 3), "a module of the class Own"),
        (nn.TransformerEncoderLayer(4, 2), "a module that doesn't say how it is made: TransformerEncoderLayer"),
        (nn.Sequential(Own(2, 3)), "a module of the class Own"),
    ],
)
def test_what_doesnt_say_how_it_is_made(module: nn.Module, message: str) -> None:
    with pytest.raises(Unwritable, match=message):
        constructed(module)


def test_a_layer_that_returns_more_than_tensors() -> None:
    x = torch.randn(2, 7, 5)
    found = made(Alone.of(nn.LSTM(5, 3, batch_first=True), ((x,), {})), x)
    assert found.text == "torch.nn.LSTM(5, 3, batch_first=True)"
    assert [list(output.shape) for output in found.run(found.tensors, [])] == [[2, 7, 3], [1, 2, 3], [1, 2, 3]]
    sizes = {(size.of, size.least) for size in Finder(found).found()}
    assert sizes == {(2, 1), (7, 2)}
    with pytest.raises(Unwritable, match="arguments that are no tensors"):
        made(Alone.of(nn.MultiheadAttention(4, 2), ((x, x, x), {"need_weights": False})), x, x, x)
