"""Runs under operator noise: what moves and by how much, and what does not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pytest_modelconform.workers.host.noise.call import UNITS, Draws
from pytest_modelconform.workers.host.noise.mode import Magnitudes, OperatorNoise, in_sight
from pytest_modelconform.workers.host.noise.sums import left_to_right

U = 2.0**-24


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


def noisy(function: Callable[[], Tensor], seed: int = 0, scale: float = 1.0) -> tuple[Tensor, OperatorNoise]:
    with torch.no_grad(), OperatorNoise(Draws(generator(seed)), scale) as mode:
        return function(), mode


def moved(function: Callable[[], Tensor], runs: int = 8) -> Tensor:
    """The root mean square of what a result is moved by, in float64, over some runs."""
    with torch.no_grad():
        plain = function()
    kind = torch.complex128 if plain.is_complex() else torch.float64
    errors = [noisy(function, seed)[0].to(kind) - plain.to(kind) for seed in range(runs)]
    return torch.stack([error.abs().square() for error in errors]).mean(0).sqrt()


# -- every operator with a formula -------------------------------------------------------------------------------------

X = drawn(2, 6, 8, 8)
ROW = drawn(4, 6)
CALLS: dict[str, Callable[[], Tensor]] = {
    "mm": lambda: ROW @ ROW.T,
    "mv": lambda: ROW @ ROW[0],
    "dot": lambda: ROW[0] @ ROW[1],
    "bmm": lambda: X[0] @ X[0],
    "addmm": lambda: functional.linear(ROW, drawn(3, 6), drawn(3)),
    "addmm_": lambda: drawn(4, 4).addmm_(ROW, ROW.T),
    "baddbmm": lambda: torch.baddbmm(X[0], X[0], X[0], beta=0.5),
    "convolution": lambda: functional.conv2d(X, drawn(3, 6, 3, 3), drawn(3), padding=1),
    "grouped": lambda: functional.conv2d(X, drawn(6, 1, 3, 3), groups=6),
    "transposed": lambda: functional.conv_transpose2d(X, drawn(6, 3, 3, 3), stride=2),
    "conv1d": lambda: functional.conv1d(X[:, :, 0], drawn(3, 6, 3)),
    "einsum": lambda: torch.einsum("nchw,dc->ndhw", X, drawn(3, 6)),
    "complex": lambda: torch.complex(ROW, ROW.flip(0)) @ torch.complex(ROW, ROW).T,
    "cdist": lambda: torch.cdist(drawn(30, 4), drawn(31, 4, seed=5)),
    "sum": lambda: X.sum((2, 3)),
    "sum of all": lambda: X.sum(),
    "mean": lambda: X.mean(1),
    "avg_pool2d": lambda: functional.avg_pool2d(X, 3, 2),
    "avg_pool3d": lambda: functional.avg_pool3d(X[None], 2),
    "adaptive": lambda: functional.adaptive_avg_pool2d(X, (1, 3)),
    "cumsum": lambda: X.cumsum(-1),
    "index_add": lambda: torch.zeros(3, 6).index_add(0, torch.tensor([0, 0, 2, 1]), ROW),
    "scatter_add": lambda: torch.zeros(4, 6).scatter_add(1, torch.zeros(4, 6, dtype=torch.int64), ROW),
    "index_put": lambda: torch.zeros(3, 6).index_put((torch.tensor([0, 0, 2, 1]),), ROW, accumulate=True),
    "norm": lambda: torch.linalg.vector_norm(X, dim=-1),
    "var": lambda: X.var((2, 3)),
    "mse_loss": lambda: functional.mse_loss(ROW, ROW.flip(0)),
    "nll_loss": lambda: functional.cross_entropy(ROW, torch.tensor([0, 5, 2, 1])),
    "rfft": lambda: torch.fft.rfft(X),
    "irfft": lambda: torch.fft.irfft(torch.complex(X, X.flip(3))),
    "bilinear": lambda: functional.interpolate(X, scale_factor=2.5, mode="bilinear"),
    "batch_norm": lambda: functional.batch_norm(X, drawn(6), drawn(6).abs() + 0.1, drawn(6), drawn(6)),
    "batch_norm in training": lambda: functional.batch_norm(X, torch.zeros(6), torch.ones(6), training=True),
    "instance_norm": lambda: functional.instance_norm(X),
    "layer_norm": lambda: functional.layer_norm(X, (8,), drawn(8), drawn(8)),
    "group_norm": lambda: functional.group_norm(X, 3, drawn(6), drawn(6)),
    "rms_norm": lambda: functional.rms_norm(X, (8,), drawn(8)),
    "softmax": lambda: X.softmax(-1),
    "log_softmax": lambda: X.log_softmax(1),
    "attention": lambda: functional.scaled_dot_product_attention(X, X, X),
    "exp": lambda: X.exp(),
    "sin": lambda: X.sin(),
    "gelu": lambda: functional.gelu(X),
    "elu": lambda: functional.elu(X),
    "pow": lambda: X.abs() ** 1.7,
    "softplus": lambda: functional.softplus(X),
    "inverse": lambda: torch.linalg.inv(X[0]),
    "add": lambda: X + drawn(2, 6, 8, 8, seed=9),
    "mul_": lambda: X.clone().mul_(1.1),
    "div": lambda: X / 3.3,
    "addcmul": lambda: torch.addcmul(ROW, ROW, ROW),
    "lerp": lambda: torch.lerp(ROW, ROW.flip(0), 0.3),
    "linspace": lambda: torch.linspace(0, 1, 11),
    "hardswish": lambda: functional.hardswish(X),
    "leaky_relu": lambda: functional.leaky_relu(X, 0.1),
    "grid_sample": lambda: functional.grid_sample(X, drawn(2, 5, 5, 2).tanh(), align_corners=False),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_moves_by_a_few_units_by_a_formula_of_its_own(name: str) -> None:
    function = CALLS[name]
    with torch.no_grad():
        plain = function()
    with in_sight(nn.Identity()):
        size = moved(function)
        result, mode = noisy(function)
        again, _ = noisy(function)
    assert not mode.general
    assert (result.shape, result.dtype, result.stride()) == (plain.shape, plain.dtype, plain.stride())
    rms = float(plain.abs().square().mean().sqrt())
    assert 0.02 * U * rms < float(size.square().mean().sqrt()) < 300 * U * rms
    assert torch.equal(result, again)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["linear", "softmax", "layer_norm", "add"])
def test_in_other_dtypes_by_units_of_theirs(dtype: torch.dtype, name: str) -> None:
    x, w = drawn(16, 64).to(dtype), drawn(64, 64).to(dtype)
    functions: dict[str, Callable[[], Tensor]] = {
        "linear": lambda: functional.linear(x, w),
        "softmax": lambda: x.softmax(-1),
        "layer_norm": lambda: functional.layer_norm(x, (64,)),
        "add": lambda: x + w[16:32],
    }
    size = moved(functions[name])
    rms = float(functions[name]().double().square().mean().sqrt())
    assert 0.1 * UNITS[dtype] * rms < float(size.square().mean().sqrt()) < 10 * UNITS[dtype] * rms


# -- what is exact in every arithmetic ---------------------------------------------------------------------------------

START = torch.full((3, 6), -math.inf)
WHOLE = torch.arange(48.0).reshape(6, 8)
HOT = functional.one_hot(torch.tensor([2, 0, 5]), 6).float()
EXACT: dict[str, Callable[[], Tensor]] = {
    "relu": lambda: X.relu(),
    "max_pool2d": lambda: functional.max_pool2d(X, 2),
    "copies": lambda: torch.cat([X.flip(1), X.roll(1, 0)]).permute(0, 2, 3, 1).contiguous(),
    "sums of whole numbers": lambda: WHOLE + 3 * WHOLE,
    "products of whole numbers": lambda: WHOLE @ WHOLE.T,
    "whole sum": lambda: WHOLE.sum(0),
    "halves": lambda: (WHOLE + 0.5) * 0.25 - 1,
    "one of each": lambda: HOT @ drawn(6, 5),
    "nearest": lambda: functional.interpolate(X, scale_factor=2),
    "embedding": lambda: functional.embedding(torch.tensor([1, 2]), ROW),
    "one pixel": lambda: functional.interpolate(X[:, :, :1, :1], size=(4, 4), mode="bilinear"),
    "a mean of one": lambda: X[:, :1].mean(1),
    "tanh of nothing": lambda: torch.zeros(4).tanh(),
    "random": lambda: torch.rand(3, generator=generator()),
    "half": lambda: X.half(),
    "greatest by index": lambda: START.index_reduce(0, torch.tensor([0, 2, 0]), drawn(3, 6), "amax"),
    "greatest by place": lambda: START.scatter_reduce(0, torch.tensor([[0] * 6, [2] * 6]), drawn(2, 6), "amax"),
    "greatest by segment": lambda: torch.segment_reduce(drawn(5, 6), "max", lengths=torch.tensor([2, 3])),
    "scattered": lambda: torch.zeros(3, 6).index_put((torch.tensor([0, 2]),), ROW[:2]),
}


@pytest.mark.filterwarnings("ignore:index_reduce:UserWarning")  # in beta
@pytest.mark.parametrize("name", EXACT)
def test_what_is_exact_does_not_move(name: str) -> None:
    with torch.no_grad():
        plain = EXACT[name]()
    for seed in range(3):
        result, _ = noisy(EXACT[name], seed, 4.0)
        assert torch.equal(result, plain)


def test_nan_infinities_and_masks_stay() -> None:
    mask = torch.full((4, 4), torch.finfo(torch.float32).min).triu(1)
    scores = drawn(4, 4) + mask

    def attention() -> Tensor:
        return (drawn(4, 4) * 0.7 + mask).softmax(-1) @ drawn(4, 4)

    result, _ = noisy(attention)
    assert torch.isfinite(result).all()
    assert torch.isfinite(scores).all()
    strange = torch.tensor([1.0, math.nan, math.inf, -math.inf])
    result, _ = noisy(lambda: strange * 1.1)
    assert result[1:].isnan().tolist() == [True, False, False]
    assert result[2:].tolist() == [math.inf, -math.inf]
    # Nor is an operand's infinity noise, where the result has none: that would leave out all of it.
    written = torch.zeros(1, 2, dtype=torch.int64)
    result, _ = noisy(lambda: strange[None, 1:].scatter_reduce(1, written, drawn(1, 2), "mean", include_self=False))
    assert result[0, 0].isfinite()
    assert result[0, 1:].tolist() == [math.inf, -math.inf]


# -- how much ----------------------------------------------------------------------------------------------------------


def accumulated(a: Tensor, b: Tensor) -> Tensor:
    """a @ b with one accumulator each, from left to right."""
    total = torch.zeros(a.shape[0], b.shape[1])
    for k in range(a.shape[1]):
        total = total + a[:, k, None] * b[k]
    return total


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("n", [16, 256, 2048])
def test_products_are_an_envelope_of_sums_from_left_to_right(n: int, positive: bool) -> None:
    a, b = drawn(8, n), drawn(n, 8, seed=2)
    if positive:
        a, b = a.abs(), b.abs()
    exact = a.double() @ b.double()
    faithful = float((accumulated(a, b).double() - exact).square().mean().sqrt())
    envelope = float(moved(lambda: a @ b).square().mean().sqrt())
    assert 0.5 * envelope < 4 * faithful
    assert faithful < 1.4 * envelope


def test_a_sum_is_that_from_left_to_right() -> None:
    x = drawn(7, 500).abs() + 1
    wanted = torch.from_numpy(np.add.accumulate(x.numpy(), axis=1)[:, -1])
    assert torch.equal(left_to_right(x, (1,)), wanted)
    row = x.flatten()
    assert float(left_to_right(row, (0,))) == float(np.add.accumulate(row.numpy())[-1])
    # Constant summands: the errors of one order add up, which a tree doesn't have.
    constant = torch.full((3, 1000), 1.1)
    result, _ = noisy(lambda: constant.mean(1))
    assert float((result.double() - 1.1).abs().min()) > 50 * U


def test_the_other_side_is_as_far() -> None:
    x, w = drawn(16, 64), drawn(64, 32)
    plain = (x @ w).double()
    draws = Draws(generator())
    state = draws.state
    with OperatorNoise(draws, 4.0):
        up = (x @ w).double() - plain
    draws.state = state
    with OperatorNoise(draws, -4.0):
        down = (x @ w).double() - plain
    assert float((up + down).abs().max()) < 0.1 * float(up.abs().max())


# -- decisions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "decides"),
    [
        (lambda: functional.max_pool2d(X, 2), False),
        (lambda: X.softmax(-1), False),
        (lambda: X.argmax(1), True),
        (lambda: torch.where(X > 0.5, X, 0.0), True),
        (lambda: (X * 3).floor(), True),
        (lambda: X.topk(2)[0], True),
        (lambda: X.long(), True),
        (lambda: X[:, torch.tensor([0, 1])], False),
    ],
)
def test_decisions_are_seen(function: Callable[[], Tensor], decides: bool) -> None:
    assert noisy(function)[1].decides is decides


# -- further runs, other ways in ---------------------------------------------------------------------------------------


def test_magnitudes_serve_further_runs() -> None:
    model = nn.Sequential(nn.Conv2d(6, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    draws, magnitudes = Draws(generator()), Magnitudes()
    calls = []
    with torch.no_grad():
        plain = model(X)
        for _ in range(3):
            with OperatorNoise(draws, 1.0, magnitudes):
                calls.append(model(X))
        # Another input has other ones, of other shapes.
        with OperatorNoise(draws, 1.0, magnitudes):
            assert model(X[:1]).shape == (1, 5)
    assert all(0 < float((one - plain).abs().max()) < 1e-5 for one in calls)
    assert not torch.equal(calls[0], calls[1])


def test_gradients_move_by_formulas_too() -> None:
    model = nn.Sequential(
        nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8), nn.GELU(), nn.GroupNorm(2, 8), nn.AvgPool2d(2), nn.Flatten()
    )
    model.append(nn.Linear(72, 16)).append(nn.LayerNorm(16)).append(nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())

    def gradients() -> list[Tensor]:
        model.zero_grad()
        functional.cross_entropy(model(X), torch.tensor([0, 2])).backward()
        return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]

    plain = gradients()
    with OperatorNoise(Draws(generator())) as mode:
        found = gradients()
        optimizer.step()
    assert not mode.general
    for one, two in zip(plain, found, strict=True):
        assert 0 < float((one - two).abs().max()) < 1e-4 * max(1.0, float(one.abs().max()))


def test_a_scripted_model_and_a_recurrent_one() -> None:
    lstm, sequence = nn.LSTM(6, 5, batch_first=True), X[:, :, 0, :6]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(nn.Sequential(nn.Linear(6, 5), nn.Tanh()))
        exported = torch.export.export(lstm, (sequence,)).module()
    for model, given in ((lstm, sequence), (exported, sequence), (scripted, ROW)):
        with torch.no_grad(), in_sight(model):
            plain = model(given)
            with OperatorNoise(Draws(generator())) as mode:
                found = model(given)
        one, two = (value[0] if isinstance(value, tuple) else value for value in (plain, found))
        assert not mode.general
        assert 0 < float((one - two).abs().max()) < 1e-5


def test_an_operator_without_a_formula_is_moved_by_units() -> None:
    library = torch.library.Library("modelconform_noise", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
    try:
        _, mode = noisy(lambda: torch.ops.modelconform_noise.twice(ROW))
        assert mode.general == {"twice": 1}
        size = moved(lambda: torch.ops.modelconform_noise.twice(ROW))
        assert 0.5 * U < float((size / ROW.abs()).mean()) < 10 * U
    finally:
        library._destroy()
