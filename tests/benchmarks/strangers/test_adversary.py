"""The faithful adversary is faithful: within theory's bounds of the exact result, and exact where all arithmetic is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import Tensor, nn

from benchmarks.strangers import accumulate, adversary
from benchmarks.strangers.adversary import Memory, faithful

pytestmark = [
    pytest.mark.compiles,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("compiled"),
]
SEEDS = 12


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


# name -> (the operator of aten that it comes to, what is computed of a tensor)
COMPUTED: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "linear": ("addmm", lambda x: F.linear(x.flatten(1), drawn(9, 144).to(x.dtype), drawn(9).to(x.dtype))),
    "matmul": ("bmm", lambda x: x @ x.transpose(-1, -2)),
    "mv": ("mv", lambda x: x.flatten(1) @ drawn(144).to(x.dtype)),
    "conv1d": ("convolution", lambda x: F.conv1d(x.flatten(2), drawn(5, 4, 3).to(x.dtype), padding=1, dilation=2)),
    "conv2d": ("convolution", lambda x: F.conv2d(x, drawn(6, 4, 3, 3).to(x.dtype), drawn(6).to(x.dtype), 2, 1)),
    "depthwise": ("convolution", lambda x: F.conv2d(x, drawn(4, 1, 3, 3).to(x.dtype), padding=1, groups=4)),
    "grouped": ("convolution", lambda x: F.conv2d(x, drawn(6, 2, 3, 2).to(x.dtype), groups=2)),
    "conv3d": ("convolution", lambda x: F.conv3d(x[None], drawn(3, 2, 2, 3, 3).to(x.dtype), padding=1)),
    "transposed": (
        "convolution",
        lambda x: F.conv_transpose2d(x, drawn(4, 3, 3, 3).to(x.dtype), drawn(3).to(x.dtype), 2, 1, 1),
    ),
    "transposed in groups": (
        "convolution",
        lambda x: F.conv_transpose2d(x, drawn(4, 3, 3, 3).to(x.dtype), groups=2, dilation=2),
    ),
    "sum": ("sum", lambda x: x.sum((1, 3), keepdim=True)),
    "sum of all": ("sum", lambda x: x.sum()),
    "mean": ("mean", lambda x: x.mean((2, 3))),
    "variance": ("var", lambda x: x.var(1)),
    "deviation": ("std", lambda x: x.std((2, 3), correction=0, keepdim=True)),
    "norm": ("linalg_vector_norm", lambda x: F.normalize(x, dim=1)),
    "average pool": ("avg_pool2d", lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True)),
    "average pool without edges": ("avg_pool2d", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
    "adaptive pool": ("_adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, (4, 5))),
    "softmax": ("_softmax", lambda x: x.softmax(1)),
    "log softmax": ("_log_softmax", lambda x: x.log_softmax(-1)),
    "log of a sum": ("logsumexp", lambda x: x.logsumexp(2)),
    "layer norm": ("native_layer_norm", lambda x: F.layer_norm(x, x.shape[2:], drawn(6, 6).to(x.dtype))),
    "group norm": ("native_group_norm", lambda x: F.group_norm(x, 2, drawn(4).to(x.dtype), drawn(4).to(x.dtype))),
    "instance norm": ("native_batch_norm", lambda x: F.instance_norm(x)),
    "batch norm": (
        "native_batch_norm",
        lambda x: F.batch_norm(x, drawn(4).to(x.dtype), drawn(4).to(x.dtype).abs() + 0.1, drawn(4).to(x.dtype)),
    ),
    "attention": ("_safe_softmax", lambda x: F.scaled_dot_product_attention(x, x, x, drawn(6, 6).to(x.dtype))),
    "GELU": ("gelu", lambda x: F.gelu(x.abs())),
    "GELU by tanh": ("gelu", lambda x: F.gelu(x, approximate="tanh")),
    "SiLU": ("silu", F.silu),
    "softplus": ("softplus", lambda x: F.softplus(x, 2.0)),
    "ELU": ("elu", F.selu),
    "log sigmoid": ("log_sigmoid_forward", F.logsigmoid),
    "in place": ("sigmoid", lambda x: x.clone().sigmoid_()),
    "power": ("pow", lambda x: x.abs() ** 1.7),
    "quotient": ("div", lambda x: x / 3.7),
    "interpolation": ("upsample_bilinear2d", lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear")),
    "spectrum": ("_fft_r2c", lambda x: torch.fft.rfft(x).abs()),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_all_draws_are_near_the_exact_result_and_they_differ(name: str) -> None:
    operator, function = COMPUTED[name]
    values = drawn(2, 4, 6, 6)
    exact = function(values.double())
    scale = exact.abs().max().item()
    found = []
    for seed in range(SEEDS):
        with faithful(f"{name}:{seed}", Memory()) as mode:
            result = function(values)
        if operator not in ("upsample_bilinear2d", "_fft_r2c"):
            assert operator in mode.counts
        assert result.shape == exact.shape
        assert result.dtype == torch.float32
        # 144 products a result at most: 144 u of sums that cancel by less than a hundred.
        assert (result.double() - exact).abs().max().item() <= 2e-5 * max(scale, 1.0)
        found.append(result)
    assert len({tuple(one.flatten().tolist()) for one in found}) > 1


EXACT: dict[str, Callable[[Tensor], Any]] = {
    "relu": F.relu,
    "max pool": lambda x: F.max_pool2d(x, 2),
    "copies": lambda x: torch.cat([x, x.flip(0)]).roll(1, 2),
    "order": lambda x: x.sort(1),
    "whole numbers": lambda x: x.round() @ x.round().transpose(-1, -2),
    "sums of whole numbers": lambda x: x.round().sum(1),
    "means of ones": lambda x: torch.ones_like(x).mean((1, 2)),
    "exact quotients": lambda x: (x.round() * 3) / 3,
    "tanh of zero": lambda x: torch.tanh(x * 0),
    "pools of whole numbers": lambda x: F.avg_pool2d(x.round() * 4, 2),
    "integers": lambda x: x.round().long().sum(1),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_is_exact_in_every_arithmetic_does_not_move(name: str, seed: int) -> None:
    values = drawn(2, 4, 6, 6) * 3
    with torch.no_grad():
        expected = EXACT[name](values)
    with faithful(f"{name}:{seed}", Memory()):
        found = EXACT[name](values)
    for one, two in zip(torch.utils._pytree.tree_leaves(found), torch.utils._pytree.tree_leaves(expected), strict=True):
        assert torch.equal(one, two)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1)).eval()
    norm = made[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(drawn(8))
    norm.running_var.copy_(drawn(8).abs() + 0.5)
    return made


def test_a_norm_is_folded_into_the_convolution_before_it_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    model, values = net(), drawn(2, 3, 9, 9)
    folds = []
    original = adversary.Faithful._folded

    def seen(self: adversary.Faithful, a: dict[str, Any]) -> Tensor | None:
        found = original(self, a)
        folds.append(found is not None)
        return found

    monkeypatch.setattr(adversary.Faithful, "_folded", seen)
    with torch.no_grad():
        exact = model.double()(values.double())
        model.float()
    memory = Memory()
    for seed in range(SEEDS):
        with faithful(f"fold:{seed}", memory):
            found = model(values)
        assert (found - exact).abs().max() < 1e-5 * exact.abs().max()
    assert set(folds) == {True, False}
    assert len(memory.normed) == 1


def test_a_folded_norm_leaves_the_convolution_to_others() -> None:
    """What is looked at before the norm is not the folded convolution's."""
    first = nn.Conv2d(3, 8, 3)
    norm = nn.BatchNorm2d(8).eval()
    values = drawn(1, 3, 5, 5)
    with torch.no_grad():
        exact = first(values)
        exact = norm(exact) - exact
    memory = Memory()
    for seed in range(SEEDS):
        with faithful(f"others:{seed}", memory):
            found = first(values)
            found = norm(found) - found
        assert torch.allclose(found, exact, atol=1e-5)


def test_a_seed_draws_the_same_again() -> None:
    model, values = net(), drawn(2, 3, 9, 9)
    found = []
    for seed in ("one", "one", "two"):
        with faithful(seed, Memory()):
            found.append(model(values))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_recurrent_layers_come_as_their_parts() -> None:
    torch.manual_seed(0)
    layer, values = nn.LSTM(5, 7), drawn(4, 2, 5)
    with faithful("lstm", Memory()) as mode:
        found = layer(values)[0]
    assert mode.counts["addmm"] >= 4
    assert torch.allclose(found, layer(values)[0], atol=1e-6)


def test_other_dtypes_are_left_to_eager() -> None:
    values = drawn(4, 4).double()
    with faithful("wide", Memory()) as mode:
        found = values @ values
    assert torch.equal(found, values @ values)
    assert not mode.counts


def test_it_knows_nothing_of_the_noise_floor() -> None:
    for module in (adversary, accumulate):
        source = module.__loader__.get_source(module.__name__)  # type: ignore[union-attr]
        assert "compare" not in source
        assert "workers.host.references" not in source
