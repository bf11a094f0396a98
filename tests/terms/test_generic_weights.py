"""generic_weights: no parameter keeps a value that hides a converter's mistake, and the values are reproducible."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytest_modelconform import generic_weights


class Everything(nn.Module):
    """One of each kind of layer and parameter that the rules name."""

    anchors: Tensor
    weight: Tensor
    missing: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 3)
        self.depthwise = nn.Conv2d(64, 64, 3, groups=64)
        self.transposed = nn.ConvTranspose2d(64, 32, 4, stride=2)
        self.bn = nn.BatchNorm2d(64)
        self.ln = nn.LayerNorm((4, 32))
        self.gn = nn.GroupNorm(4, 32)
        self.linear = nn.Linear(256, 128)
        self.prelu = nn.PReLU()
        self.lstm = nn.LSTM(64, 64)
        self.attention = nn.MultiheadAttention(64, 4)
        self.embedding = nn.Embedding(50, 64, padding_idx=0)
        self.class_token = nn.Parameter(torch.zeros(1, 1, 64))
        self.pos_embedding = nn.Parameter(torch.zeros(1, 17, 64))
        self.layer_scale = nn.Parameter(torch.full((64, 1, 1), 1e-6))
        self.logit_scale = nn.Parameter(torch.tensor(2.6592))
        self.beta = nn.Parameter(torch.zeros(64))
        self.spectrum = nn.Parameter(torch.zeros(8, 8, dtype=torch.complex64))
        self.low_precision = nn.Parameter(torch.zeros(64, 64, dtype=torch.bfloat16))
        self.empty = nn.Parameter(torch.zeros(0, 4))
        self.register_buffer("anchors", torch.arange(4.0))
        self.register_buffer("weight", torch.ones(3))
        self.register_buffer("missing", None)


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def test_returns_the_module_itself() -> None:
    module = nn.Linear(2, 2)
    assert generic_weights(module) is module


def test_values_do_not_depend_on_the_initial_ones_or_on_the_global_generator() -> None:
    torch.manual_seed(1)
    first = state(generic_weights(Everything()))
    torch.manual_seed(2)
    second = state(generic_weights(Everything()))
    assert_same(first, second)


def test_the_global_generator_is_left_alone() -> None:
    module = Everything()
    before = torch.get_rng_state()
    generic_weights(module)
    assert torch.equal(before, torch.get_rng_state())


def test_a_value_does_not_depend_on_the_rest_of_the_model() -> None:
    small = nn.ModuleDict({"b": nn.Linear(8, 8)})
    large = nn.ModuleDict({"a": nn.Conv2d(3, 5, 3), "b": nn.Linear(8, 8), "c": nn.BatchNorm1d(8)})
    generic_weights(small)
    generic_weights(large)
    assert_same(state(small["b"]), state(large["b"]))


def test_values_stay_the_same_across_releases() -> None:
    """Caches and expectations rest on them: a change here is a change of every case's model."""
    linear = generic_weights(nn.Linear(2, 1))
    expected = torch.tensor([0.2658711373806, 1.9388360977172852, -0.09118350595235825])
    torch.testing.assert_close(torch.cat([linear.weight.detach()[0], linear.bias.detach()]), expected)


def test_seeds_and_names_give_different_values() -> None:
    one, two = (state(generic_weights(Everything(), seed)) for seed in (1, 2))
    unchanged = {name for name in one if torch.equal(one[name], two[name])}
    assert unchanged == {"anchors", "weight", "empty", "bn.num_batches_tracked"}
    twins = generic_weights(nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]))
    assert not torch.equal(twins.state_dict()["0.weight"], twins.state_dict()["1.weight"])


def test_no_parameter_is_constant_or_zero() -> None:
    module = generic_weights(Everything())
    for name, parameter in module.named_parameters():
        values = torch.view_as_real(parameter) if parameter.is_complex() else parameter
        assert values.isfinite().all(), name
        assert values.numel() == 0 or values.ne(0).float().mean() > 0.99, name
        assert values.numel() <= 1 or len(set(values.flatten().tolist())) > values.numel() / 4, (
            name
        )  # bfloat16 repeats itself
    assert module.embedding.weight[0].abs().max() > 0.1, "the padding row counts too"


@pytest.mark.parametrize("name", ["bn.weight", "ln.weight", "gn.weight", "layer_scale"])
def test_what_scales_a_signal_is_around_one(name: str) -> None:
    values = dict(generic_weights(Everything()).named_parameters())[name]
    assert 0.8 <= values.min() < 0.9
    assert 1.1 < values.max() <= 1.2


@pytest.mark.parametrize(
    "name", ["conv.bias", "bn.bias", "ln.bias", "lstm.bias_hh_l0", "attention.in_proj_bias", "beta"]
)
def test_what_shifts_a_signal_is_small(name: str) -> None:
    values = dict(generic_weights(Everything()).named_parameters())[name]
    assert 0.05 < values.std() < 0.15
    assert values.abs().max() < 0.6


@pytest.mark.parametrize("name", ["logit_scale", "prelu.weight"])
def test_scalars_keep_their_meaning(name: str) -> None:
    values = dict(generic_weights(Everything()).named_parameters())[name]
    low, high = {"logit_scale": (1.0, 2.0), "prelu.weight": (0.1, 0.4)}[name]
    assert low <= values.min()
    assert values.max() <= high


def test_batch_norm_statistics_are_away_from_zero_and_one() -> None:
    bn = generic_weights(nn.BatchNorm2d(256))
    assert bn.running_mean is not None
    assert bn.running_var is not None
    assert bn.num_batches_tracked is not None
    assert bn.running_mean.abs().max() <= 0.1
    assert bn.running_mean.std() > 0.04
    assert 0.5 <= bn.running_var.min() < 0.6
    assert 1.4 < bn.running_var.max() <= 1.5
    assert bn.num_batches_tracked.item() == 0


def test_a_frozen_batch_norm_is_filled_though_all_of_it_is_buffers() -> None:
    frozen = pytest.importorskip("torchvision.ops").FrozenBatchNorm2d(32)
    generic_weights(frozen)
    assert all(len(set(values.tolist())) == 32 for values in frozen.state_dict().values())


def test_batch_norm_without_statistics_or_affine() -> None:
    assert not list(generic_weights(nn.BatchNorm2d(4, affine=False, track_running_stats=False)).parameters())


def test_other_buffers_stay() -> None:
    module = generic_weights(Everything())
    assert torch.equal(module.anchors, torch.arange(4.0))
    assert torch.equal(module.weight, torch.ones(3))
    assert module.missing is None


def test_tied_weights_stay_tied_and_are_filled_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(20, 64)
            self.head = nn.Linear(64, 20, bias=False)
            self.head.weight = self.embedding.weight

    tied, alone = generic_weights(Tied()), generic_weights(nn.ModuleDict({"embedding": nn.Embedding(20, 64)}))
    assert tied.head.weight is tied.embedding.weight
    assert torch.equal(tied.embedding.weight, alone.state_dict()["embedding.weight"])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(512, 400), (64, 512)),
        (nn.Conv2d(64, 64, 3, groups=4), (8, 64, 12, 12)),
        (nn.ConvTranspose2d(64, 64, 4, stride=2, groups=2), (8, 64, 12, 12)),
        (nn.Embedding(100, 64), None),
    ],
)
def test_layers_keep_the_size_of_their_signal(layer: nn.Module, shape: tuple[int, ...] | None) -> None:
    generic_weights(layer)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator) if shape else torch.randint(0, 100, (1000,), generator=generator)
    with torch.no_grad():
        assert 0.9 < layer(x).std() < 1.5


def test_a_deep_network_without_normalisation_neither_explodes_nor_dies() -> None:
    layers = [module for _ in range(20) for module in (nn.Linear(256, 256), nn.ReLU())]
    x = torch.randn(16, 256, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert 1e-3 < generic_weights(nn.Sequential(*layers))(x).std() < 1e3


def test_dtype_gradients_and_device_are_kept() -> None:
    module = Everything().double()
    module.linear.weight.requires_grad_(False)
    generic_weights(module)
    assert module.linear.weight.dtype == torch.float64
    assert not module.linear.weight.requires_grad
    assert module.conv.weight.requires_grad
    assert module.conv.weight.grad_fn is None
    wide, narrow = generic_weights(nn.Linear(8, 8).double()), generic_weights(nn.Linear(8, 8))
    assert torch.equal(wide.weight.float(), narrow.weight)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (4, 4)])
@pytest.mark.parametrize("how", ["householder", "cayley", "matrix_exp"])
def test_orthogonal_stays_orthogonal(shape: tuple[int, int], how: str) -> None:
    """Householder's numbers have signs of 1 on their diagonal; with others the weight would be 0."""
    layers: list[Any] = [nn.utils.parametrizations.orthogonal(nn.Linear(*shape), orthogonal_map=how) for _ in range(2)]
    weights = [generic_weights(layer).weight.detach() for layer in layers]
    assert torch.equal(*weights)
    for weight in weights:
        rows = weight if weight.shape[0] <= weight.shape[1] else weight.T
        torch.testing.assert_close(rows @ rows.T, torch.eye(rows.shape[0]), atol=1e-5, rtol=0.0)
    other = generic_weights(layers[0], seed=1).weight.detach()
    assert not torch.allclose(other, weights[1])


@pytest.mark.parametrize("norm", [nn.utils.parametrizations.spectral_norm, nn.utils.spectral_norm])
@pytest.mark.parametrize("layer", [nn.Linear(16, 8), nn.Conv2d(3, 8, 3)])
def test_a_spectral_norm_is_one(norm: Callable[[nn.Module], Any], layer: nn.Module) -> None:
    normed = generic_weights(norm(copy.deepcopy(layer)).eval())
    normed(torch.ones(1, 16) if isinstance(layer, nn.Linear) else torch.ones(1, 3, 8, 8))
    weight = normed.weight.detach()
    assert float(torch.linalg.matrix_norm(weight.flatten(1), 2)) == pytest.approx(1.0, abs=0.02)
    assert not normed.training


def test_weight_norm_and_shared_modules() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(16, 8))
    generic_weights(nn.ModuleList([layer, layer]))
    magnitude = dict(layer.named_parameters())["parametrizations.weight.original0"]
    assert magnitude.min() >= 0.8
    assert magnitude.max() <= 1.2


def test_a_lazy_module_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        ValueError, match=r"^parameter 0.weight is lazy: run the model once before generic_weights\(\)$"
    ):
        generic_weights(nn.Sequential(nn.LazyLinear(4)))


def test_a_case_author_imports_no_torch_by_importing_us() -> None:
    """The pytest process imports case.py and never torch: `_weights` is for the moment a model is built."""
    code = "import sys, pytest_modelconform; print('torch' in sys.modules, 'numpy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]
