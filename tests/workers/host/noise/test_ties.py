"""Orders of equal elements: each run has another one of those that PyTorch allows, and only of equal ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pytest_modelconform.workers.host.noise.call import Draws
from pytest_modelconform.workers.host.noise.mode import OperatorNoise

EQUAL = torch.randint(0, 5, (6, 40), generator=torch.Generator().manual_seed(0))
DIFFERENT = torch.rand(6, 40, generator=torch.Generator().manual_seed(0))
NANS = torch.where(EQUAL == 3, torch.nan, EQUAL)
Returned = tuple[Tensor, Tensor]
ORDERS: dict[str, Callable[[Tensor], Returned]] = {
    "sort": lambda x: x.sort(-1),
    "along another axis": lambda x: x.sort(0),
    "descending": lambda x: x.sort(-1, descending=True),
    "argsort": lambda x: (x.sort(-1).values, x.argsort(-1)),
    "stable by word": lambda x: torch.sort(x, dim=-1, stable=False),
    "topk": lambda x: x.topk(30, -1),
    "smallest": lambda x: x.topk(4, 0, largest=False),
}
ONES: dict[str, Callable[[Tensor], Returned]] = {
    "kthvalue": lambda x: x.kthvalue(7, -1, keepdim=True),
    "median": lambda x: x.median(-1, keepdim=True),
    "nanmedian": lambda x: x.nanmedian(0, keepdim=True),
    "mode": lambda x: x.mode(-1, keepdim=True),
}
PROMISED: dict[str, Callable[[Tensor], Any]] = {
    "stable sort": lambda x: torch.sort(x, dim=-1, stable=True),
    "stable argsort": lambda x: x.argsort(dim=-1, stable=True),
    "argmax": lambda x: x.argmax(-1),
    "max": lambda x: x.max(-1),
    "min": lambda x: x.min(-1),
    "topk in any order": lambda x: x.topk(3, sorted=False),
    "a single number": lambda x: x[0, 0].sort(),
    "nothing": lambda x: x[:0].sort(0),
    "median of all": lambda x: x.median(),
}


def turned(function: Callable[[Tensor], Any], x: Tensor, turn: int | None) -> Any:
    with torch.no_grad(), OperatorNoise(Draws(torch.Generator()), turn=turn):
        return function(x)


@pytest.mark.parametrize("x", [EQUAL, NANS, EQUAL.half(), EQUAL > 2], ids=["int", "nan", "half", "bool"])
@pytest.mark.parametrize("name", ORDERS)
def test_each_place_of_equal_elements_has_another_one(name: str, x: Tensor) -> None:
    if x.dtype is torch.bool and name in ("topk", "smallest"):
        pytest.skip("topk takes no bools")
    axis = 0 if name in ("along another axis", "smallest") else 1
    runs = [turned(ORDERS[name], x, turn) for turn in range(3)]
    for values, indices in runs:
        torch.testing.assert_close(values, runs[0][0], rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(x.gather(axis, indices), values, rtol=0, atol=0, equal_nan=True)
    numbers = x.float().nan_to_num(9.0)
    alone = (numbers.movedim(axis, -1)[:, :, None] == numbers.movedim(axis, -1)[:, None]).sum(-1) == 1
    assert torch.equal(runs[0][1] == runs[1][1], alone.movedim(-1, axis).gather(axis, runs[0][1]))


@pytest.mark.parametrize("name", ONES)
def test_one_of_equal_elements_is_another_one(name: str) -> None:
    runs = [turned(ONES[name], NANS, turn) for turn in range(2)]
    for values, indices in runs:
        axis = 0 if values.shape[0] == 1 else 1
        assert torch.equal(NANS.gather(axis, indices).nan_to_num(9.0), values.nan_to_num(9.0))
    assert torch.equal(runs[0][0].nan_to_num(9.0), runs[1][0].nan_to_num(9.0))
    alone = (runs[0][0].nan_to_num(9.0) == NANS.nan_to_num(9.0)).sum(axis, keepdim=True) == 1
    assert torch.equal(runs[0][1] == runs[1][1], alone)
    assert not alone.all()


@pytest.mark.parametrize("name", [*ORDERS, *ONES])
def test_what_differs_keeps_its_order(name: str) -> None:
    function = {**ORDERS, **ONES}[name]
    for plain, found in zip(function(DIFFERENT), turned(function, DIFFERENT, 1), strict=True):
        assert torch.equal(plain, found)


@pytest.mark.parametrize("name", PROMISED)
def test_what_is_promised_stays(name: str) -> None:
    plain, found = PROMISED[name](EQUAL), turned(PROMISED[name], EQUAL, 1)
    pairs = [(plain, found)] if isinstance(plain, Tensor) else list(zip(plain, found, strict=True))
    assert all(torch.equal(one, two) for one, two in pairs)


def test_without_a_turn_nothing_is_touched() -> None:
    assert torch.equal(turned(ORDERS["sort"], EQUAL, None)[1], EQUAL.sort(-1).indices)
