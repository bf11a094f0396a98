"""Submodules as they were called."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pytest_modelconform.workers.host.parts.submodules import alone, recorded


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor, y: Tensor) -> Any:
        return self.attention(x, x, y, need_weights=False)[0]


class IsSame(nn.Module):
    """Whether its arguments are one tensor; as nn.MultiheadAttention asks."""

    def forward(self, query: Tensor, key: Tensor, more: dict[str, Tensor]) -> Tensor:
        return query + float(query is key) + 2 * float(more["value"] is key)


class Asking(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.asked = IsSame()

    def forward(self, x: Tensor) -> Any:
        return self.asked(x, x, {"value": x}), self.asked(x, x.clone(), {"value": x})


def test_a_tensor_that_is_given_twice_is_one() -> None:
    x = torch.randn(2, 3)
    model = Asking()
    with recorded(model) as calls:
        model(x)
    for call, tensors, added in zip(calls, (1, 2), (3.0, 0.0), strict=True):
        module, given = alone(call)
        assert len(given) == tensors
        torch.testing.assert_close(module(*given)[0], x + added)
    with recorded(model, "asked") as calls:
        model(x)
    assert len(alone(calls[0])[1]) == 1


def test_one_of_several_tensors_twice() -> None:
    x, y = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    model = Attending().eval()
    with recorded(model, "attention") as calls:
        expected = model(x, y)
    module, given = alone(calls[0])
    assert [torch.equal(one, other) for one, other in zip(given, (x, y), strict=True)] == [True, True]
    torch.testing.assert_close(module(*given)[0], expected)
