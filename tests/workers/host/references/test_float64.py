"""The float64 reference stays float64 whatever a model says; jitter moves all by one unit in the last place."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pytest_modelconform.workers.host.references.float64 import Float64, Jitter, Widened, moved, run_wide

THIRD = torch.tensor(1.0) / 3
TABLE = torch.linspace(0.1, 1.7, 5)


class Net(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.1, 0.7, 1.3, 2.9, 3.1]))
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x * self.weight)


def call(model: nn.Module, args: Any, kwargs: Any) -> Any:
    with torch.no_grad():
        return model(*args, **kwargs)


X = torch.tensor([0.3, 1.1, 0.6, 0.2, 2.7])
WIDE: dict[str, tuple[Callable[[torch.Tensor], Any], Callable[[torch.Tensor], Any]]] = {
    "float()": (lambda x: x.float() / 3, lambda x: x / 3),
    "to": (lambda x: x.to(torch.float32).to(dtype=torch.float16) * 3, lambda x: x * 3),
    "type_as": (lambda x: x.type_as(torch.ones(1, dtype=torch.float32)) / 3, lambda x: x / 3),
    "dtype": (lambda x: torch.softmax(x, 0, dtype=torch.float32), lambda x: torch.softmax(x, 0)),
    "ones": (lambda x: x + torch.ones(5, dtype=torch.float32) / 3, lambda x: x + 1 / 3),
    "arange": (lambda x: x / torch.arange(3, 8, dtype=torch.float32), lambda x: x / torch.arange(3, 8).double()),
    "default dtype": (lambda x: x + torch.ones(5) / 3, lambda x: x + 1 / 3),
    "constant": (lambda x: x @ TABLE, lambda x: x @ TABLE.double()),
    "in place": (lambda x: x.clone().float().mul_(1 / 3), lambda x: x * (1 / 3)),
    "view": (lambda x: x.float().view(1, 5)[:, 1:].t() / 3, lambda x: x[1:].reshape(4, 1) / 3),
    "nested": (lambda x: {"a": [x.half() / 3, 2]}, lambda x: {"a": [x / 3, 2]}),
}


@pytest.mark.parametrize("name", WIDE)
def test_models_that_ask_for_less_stay_in_float64(name: str) -> None:
    function, wanted = WIDE[name]
    model = Net(function)
    outputs, impure = run_wide(Widened(model).copy(), (X,), {}, call)
    assert impure == ""
    expected = wanted(X.double() * model.weight.detach().double())
    for found, value in zip(
        torch.utils._pytree.tree_leaves(outputs), torch.utils._pytree.tree_leaves(expected), strict=True
    ):
        if isinstance(value, torch.Tensor):
            assert found.dtype == torch.float64
            torch.testing.assert_close(found, value, rtol=1e-15, atol=0)
    # The model itself, and the process, are as they were.
    assert model.weight.dtype == torch.float32
    assert torch.get_default_dtype() == torch.float32


def test_complex_numbers_are_widened() -> None:
    outputs, impure = run_wide(Widened(Net(lambda x: torch.fft.fft(x.float()))).copy(), (X,), {}, call)
    assert (outputs.dtype, impure) == (torch.complex128, "")


def test_integers_and_bools_stay() -> None:
    outputs, impure = run_wide(Widened(Net(lambda x: (x.long(), x > 1, x.argmax()))).copy(), (X,), {}, call)
    assert [value.dtype for value in outputs] == [torch.int64, torch.bool, torch.int64]
    assert impure == ""


def test_what_comes_out_narrower_all_the_same_is_counted() -> None:
    library = torch.library.Library("modelconform_test", "DEF")
    library.define("narrow(Tensor x) -> Tensor")
    library.impl("narrow", lambda x: x.to(torch.float32), "CPU")
    with Float64() as mode:
        torch.ops.modelconform_test.narrow(torch.ones(2, dtype=torch.float64))
    assert sum(mode.narrow.values()) == 1
    outputs, impure = run_wide(Widened(Net(torch.ops.modelconform_test.narrow)).copy(), (X,), {}, call)
    assert outputs is not None
    assert impure.startswith(
        "the float64 run isn't pure: 1 results stayed narrower (modelconform_test.narrow.default x1)"
    )


def test_a_model_that_does_not_run_in_float64() -> None:
    def picky(x: torch.Tensor) -> torch.Tensor:
        if x.dtype != torch.float32:
            raise TypeError("float32 only")
        return x

    outputs, impure = run_wide(Widened(Net(picky)).copy(), (X,), {}, call)
    assert outputs is None
    assert impure == "the model does not run in float64: TypeError: float32 only"
    assert torch.get_default_dtype() == torch.float32


def test_the_compiler_is_not_imported_for_it() -> None:
    import os
    import subprocess
    import sys

    text = (
        "import sys, torch\nfrom pytest_modelconform.workers.host.references.float64 import Widened, run_wide\n"
        "run_wide(Widened(torch.nn.Linear(2, 2)).copy(), (torch.ones(1, 2),), {}, lambda m, a, k: m(*a))\n"
        "assert 'torch._dynamo' not in sys.modules and 'sympy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", text], check=True, env=os.environ)


# -- jitter ------------------------------------------------------------------------------------------------------------


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_everything_moves_by_one_unit_in_the_last_place(dtype: torch.dtype) -> None:
    value = torch.randn(1000, generator=generator()).to(dtype) * 100
    other = moved(value, generator())
    a, b = value.numpy(), other.numpy()
    up, down = np.nextafter(a, np.inf), np.nextafter(a, -np.inf)
    assert ((b == up) | (b == down)).all()
    assert 350 < (b == up).sum() < 650


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_small_dtypes_move_too(dtype: torch.dtype) -> None:
    value = (torch.rand(100, generator=generator()) + 0.5).to(dtype)
    difference = (moved(value, generator()).double() - value.double()).abs()
    eps = torch.finfo(dtype).eps
    assert bool(((difference >= eps / 4) & (difference <= eps)).all())


def test_complex_parts_move() -> None:
    value = torch.tensor([1.5 + 2.25j, 0.1 - 0.7j])
    other = moved(value, generator())
    assert bool((other.real != value.real).all())
    assert bool((other.imag != value.imag).all())
    torch.testing.assert_close(other, value, rtol=1e-6, atol=0)


def test_what_stays() -> None:
    special = torch.tensor([0.0, -0.0, float("nan"), float("inf"), float("-inf"), 0.5])
    other = moved(special, generator())
    assert other[:5].view(torch.int32).tolist() == special[:5].view(torch.int32).tolist()
    assert other[5] != special[5]
    for value in (
        torch.arange(5),
        torch.tensor([True, False]),
        torch.tensor([0.0, 1.0, 1.0]),
        torch.empty(0),
        "text",
        None,
    ):
        found = moved(value, generator())
        assert torch.equal(found, value) if isinstance(value, torch.Tensor) else found == value
    assert moved(torch.tensor(2.0), generator()) != 2.0


def test_the_order_of_strides_is_kept() -> None:
    for value in (torch.rand(3, 4).t(), torch.rand(1, 3, 4, 5).to(memory_format=torch.channels_last)):
        assert moved(value, generator()).stride() == value.stride()
        # Whole numbers are left alone, and cloned.
        assert moved(value.round(), generator()).stride() == value.stride()


def test_nests_are_copied() -> None:
    x = torch.rand(3)
    found = moved({"a": [x, (1, None)]}, generator())
    assert found["a"][1] == (1, None)
    assert found["a"][0].data_ptr() != x.data_ptr()


def test_a_model_is_moved_again_from_where_it_was() -> None:
    model = nn.BatchNorm1d(4).eval()
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            if value.is_floating_point():
                value.add_(torch.rand(4))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    jitter = Jitter(model)
    first = {name: value.clone() for name, value in jitter.model.state_dict().items() if jitter.move(1)}
    for _ in range(50):
        jitter.move(2)
    jitter.move(1)
    for name, value in jitter.model.state_dict().items():
        assert torch.equal(value, first[name])
        assert torch.equal(model.state_dict()[name], before[name])
        if value.is_floating_point():
            torch.testing.assert_close(value, before[name], rtol=2e-7, atol=0)
            assert not torch.equal(value, before[name])


def test_one_copy_serves_runs_as_long_as_nothing_changes() -> None:
    model = torch.nn.BatchNorm1d(4)
    model.seen = []  # type: ignore[assignment]
    copies = Widened(model.eval())
    first = copies.copy()
    assert copies.copy() is first
    assert next(first.parameters()).dtype == torch.float64
    changes = [
        lambda: model.train()(torch.ones(2, 4)),  # its statistics
        lambda: setattr(model, "calls", 3),
        lambda: model.seen.append(1),  # type: ignore[union-attr,operator]
        lambda: setattr(copies.copy(), "calls", 4),  # the copy itself
        copies.forget,
    ]
    for change in changes:
        before = copies.copy()
        change()
        assert copies.copy() is not before
        assert copies.copy() is copies.copy()


def test_a_scripted_model_is_copied_each_time() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript's deprecation, and of its own copies
        copies = Widened(torch.jit.script(torch.nn.Linear(2, 2)))
        assert copies.copy() is not copies.copy()
