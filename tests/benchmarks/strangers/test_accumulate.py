"""Sums and products in the order that is asked for, one rounding at a time."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.strangers import accumulate
from benchmarks.strangers.accumulate import Order, products, total

pytestmark = [pytest.mark.compiles, pytest.mark.usefixtures("compiled")]
U = 2.0**-24


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


ORDERS = [
    Order(kind, length, fused, backward)
    for kind, length in (("sequential", 1), ("blocked", 7), ("pairwise", 4), ("lanes", 8))
    for fused in (False, True)
    for backward in (False, True)
]


def test_from_left_to_right_is_numpys_accumulate() -> None:
    values = drawn(300, 37)
    found = total(values, [0], Order())
    assert np.array_equal(found.numpy(), np.add.accumulate(values.numpy(), axis=0)[-1])


def test_backward_is_the_reverse() -> None:
    values = drawn(5, 300)
    found = total(values, [1], Order(backward=True))
    assert np.array_equal(found.numpy(), np.add.accumulate(values.numpy()[:, ::-1], axis=1)[:, -1])


def test_blocks_are_added_up_before_their_sums_are() -> None:
    values = drawn(29).numpy()
    sums = [np.add.accumulate(values[i : i + 8])[-1] for i in range(0, 29, 8)]
    expected = np.add.accumulate(np.array(sums))[-1]
    assert total(torch.from_numpy(values), [0], Order("blocked", 8)).item() == expected


def test_pairs_are_halves() -> None:
    values = drawn(8)
    a, b, c, d = (values[i] + values[i + 1] for i in range(0, 8, 2))
    assert total(values, [0], Order("pairwise", 2)).item() == ((a + b) + (c + d)).item()


def test_lanes_take_turns() -> None:
    values = drawn(10)
    lanes = [np.add.accumulate(values[i::2].numpy())[-1] for i in range(2)]
    assert total(values, [0], Order("lanes", 2)).item() == lanes[0] + lanes[1]


def test_a_fused_product_is_not_rounded() -> None:
    left, right = drawn(1, 9, 40), drawn(1, 40, 20)

    def emulated(fused: bool) -> Tensor:
        sums = torch.zeros(1, 9, 20)
        for k in range(40):
            one, two = left[:, :, k : k + 1], right[:, k : k + 1]
            # The product is exact in float64, so that only the sum is rounded.
            sums = (one.double() * two.double() + sums.double()).float() if fused else sums + one * two
        return sums

    plain, fused = (products(left, right, Order(fused=fused)) for fused in (False, True))
    assert torch.equal(plain, emulated(False))
    assert torch.equal(fused, emulated(True))
    assert not torch.equal(plain, fused)


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 200, 33), (4, 16, 16)])
def test_no_order_is_off_by_more_than_theory_allows(order: Order, sizes: tuple[int, int, int]) -> None:
    rows, count, columns = sizes
    left, right = drawn(3, rows, count), drawn(3, count, columns)
    found = products(left, right, order)
    exact = left.double() @ right.double()
    # Higham, Accuracy and Stability of Numerical Algorithms, 2002, (3.5).
    assert ((found - exact).abs() <= count * U / (1 - count * U) * (left.double().abs() @ right.double().abs())).all()


def test_a_shorter_batch_is_gone_through_again() -> None:
    left, right, start = drawn(2, 3, 5), drawn(6, 5, 4), drawn(2, 3, 1)
    found = products(left, right, Order(), start)
    exact = left.repeat(3, 1, 1).double() @ right.double() + start.repeat(3, 1, 1).double()
    assert torch.allclose(found.double(), exact, atol=1e-5)


@pytest.mark.parametrize("first", [True, False])
def test_what_products_are_added_to_comes_first_or_last(first: bool) -> None:
    left, right = torch.full((1, 1, 64), 2.0**-13), torch.full((1, 64, 1), 2.0**-13)
    start = torch.full((1, 1, 1), 1.0)
    found = products(left, right, Order(start_first=first), start).item()
    # Each product is a quarter of 1's last place: one by one they vanish, together they don't.
    assert (found == 1.0) == first


def test_strides_are_followed() -> None:
    left, right = drawn(20, 3, 7).permute(2, 1, 0), drawn(7, 9, 20).transpose(1, 2)
    assert torch.equal(products(left, right, Order()), products(left.contiguous(), right.contiguous(), Order()))


def test_nothing_is_added_to_nothing() -> None:
    assert products(torch.zeros(1, 2, 0), torch.zeros(1, 0, 3), Order()).tolist() == [[[0.0] * 3] * 2]
    assert total(torch.zeros(2, 0), [1], Order()).tolist() == [0.0, 0.0]


def test_all_kinds_are_drawn() -> None:
    source = random.Random(0)
    found = [accumulate.draw(source) for _ in range(200)]
    assert {order.kind for order in found} == set(accumulate.KINDS)
    assert {order.fused for order in found} == {order.backward for order in found} == {True, False}


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    accumulate._library.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(RuntimeError, match=r"needs a C\+\+ compiler: install"):
        total(torch.ones(3), [0], Order())
    accumulate._library.cache_clear()
