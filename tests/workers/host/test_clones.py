"""Copies of models that never ran, or whose weights are of a class of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pytest_modelconform.workers.host import clones
from pytest_modelconform.workers.host.references import float64


class Scaled(torch.Tensor):
    """Integers and a scale, as optimum-quanto has it: a clone is dense, and there is no other dtype."""

    @staticmethod
    def __new__(cls, data: torch.Tensor, scale: torch.Tensor) -> Scaled:
        made: Scaled = torch.Tensor._make_wrapper_subclass(cls, data.shape, dtype=scale.dtype)
        return made

    def __init__(self, data: torch.Tensor, scale: torch.Tensor) -> None:
        self.inside, self.scale = data, scale

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["inside", "scale"], None

    @staticmethod
    def __tensor_unflatten__(inner: Any, _context: Any, _size: Any, _stride: Any) -> Scaled:
        return Scaled(inner["inside"], inner["scale"])

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch declares it without `func`
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten.detach.default:
            return cls(args[0].inside, args[0].scale)
        if func is torch.ops.aten._to_copy.default:
            raise ValueError("the dtype can't be changed")
        dense = [value.inside * value.scale if isinstance(value, Scaled) else value for value in args]
        return func(*dense, **(kwargs or {}))


@pytest.fixture
def model() -> torch.nn.Module:
    made = torch.nn.Linear(2, 2)
    made.weight = torch.nn.Parameter(Scaled(torch.tensor([[1, 2], [3, 4]]), torch.tensor(0.5)))
    return made


def test_a_weight_without_a_deep_copy_is_made_of_its_parts(model: torch.nn.Module) -> None:
    copied = clones.copied(model)
    weight: Any = copied.weight
    assert isinstance(weight, Scaled)
    weight.inside[0, 0] = 7
    original: Any = model.weight
    assert original.inside[0, 0] == 1
    x = torch.rand(3, 2)
    weight.inside[0, 0] = 1
    assert torch.equal(copied(x), model(x))


def test_it_stays_as_it_is_in_float64(model: torch.nn.Module) -> None:
    wide = float64.widened(model)
    assert isinstance(wide.weight, Scaled)
    assert wide.bias.dtype == torch.float64


@pytest.mark.filterwarnings("ignore:.*weight_norm")
def test_a_model_that_keeps_what_it_computed_from_its_weights() -> None:
    model: torch.nn.Module = torch.nn.utils.weight_norm(torch.nn.Linear(3, 2))
    made, x = clones.copied(model), torch.rand(1, 3)
    assert torch.equal(made(x), model(x))
    made.get_parameter("weight_g").data.mul_(2)
    assert not torch.equal(made(x), model(x))
    assert not vars(model)["weight"].is_leaf
