"""Operators of a program as a model: the same numbers, with what reaches them as inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves

from pytest_modelconform.workers.host.parts.cut import Cut, NotAPart, cut, flat, pairs
from pytest_modelconform.workers.host.parts.programs import Taken
from tests.workers.host.parts import models

BLOCK = """\
y = self.norm(self.second(nn.functional.gelu(self.first(x))) + x)
a, b = y.chunk(2, 1)
return a * b, y.topk(3)"""
SIZES = """\
n = x.shape[0]
y = x.sin().reshape(n * 2, 4)
z = y + torch.arange(n * 2)[:, None]
return z.view(n, 8) * x"""
LAYERS = "self.first, self.second, self.norm = nn.Linear(8, 16), nn.Linear(16, 8), nn.LayerNorm(8)"
BATCH = 'dynamic_shapes={"x": {0: "batch"}}'


def parted(found: Taken, *kept: str, outputs: tuple[str, ...] = (), key: str = "one") -> Cut:
    return cut(found.module, found.values(key), kept, outputs)


def same(found: Taken, part: Cut, key: str = "one") -> bool:
    """Whether a part returns what the model has there."""
    values = {node.name: in_reals(value) for node, value in found.values(key).items()}
    returned = part.module(*given(found, part, key))
    return all(torch.equal(one, values[node.name]) for one, node in zip(returned, part.outputs, strict=True))


def given(found: Taken, part: Cut, key: str = "one") -> list[torch.Tensor]:
    """What a part takes, in tensors of their own."""
    values = {node.name: value for node, value in found.values(key).items()}
    return [in_reals(values[node.name]).clone() for node in part.inputs]


def in_reals(value: Any) -> Any:
    return pairs(value) if isinstance(value, torch.Tensor) and value.is_complex() else value


def test_every_operator_alone_and_every_prefix(tmp_path: Path) -> None:
    found = models.program(tmp_path, BLOCK, init=LAYERS)
    names = models.names(found)
    assert names == ["linear", "gelu", "linear_1", "add", "layer_norm", "chunk", "mul", "topk"]
    for i, name in enumerate(names):
        alone = parted(found, name)
        assert same(found, alone)
        prefix = parted(found, *names[: i + 1])
        assert [node.name for node in prefix.inputs] == ["x"]
        assert same(found, prefix)
    assert [node.name for node in parted(found, "add").inputs] == ["x", "linear_1"]
    # What is left out needs them: the sum's two operands, both halves, numbers and places of the largest.
    assert [node.name for node in parted(found, "linear_1", "gelu").outputs] == ["linear_1"]
    assert len(parted(found, "chunk").outputs) == len(parted(found, "topk").outputs) == 2


def test_complex_numbers_go_in_and_out_as_pairs(tmp_path: Path) -> None:
    forward = "y = torch.fft.rfft(x) * self.weight\nreturn torch.fft.irfft(y.conj(), n=8)"
    found = models.program(tmp_path, forward, init="self.weight = nn.Parameter(torch.randn(5, dtype=torch.complex64))")
    names = models.names(found)
    assert names == ["fft_rfft", "mul", "_conj", "fft_irfft"]
    for i, name in enumerate(names):
        alone = parted(found, name)
        assert len(alone.paired) == (name != "fft_rfft")
        assert not any(tensor.is_complex() for tensor in alone.module(*given(found, alone)))
        assert same(found, alone)
        assert same(found, parted(found, *names[: i + 1]))


def test_outputs_in_between(tmp_path: Path) -> None:
    found = models.program(tmp_path, BLOCK, init=LAYERS)
    tapped = parted(found, outputs=("linear", "add", "mul"))
    assert [node.name for node in tapped.outputs] == ["linear", "add", "mul"]
    assert same(found, tapped)
    # What no output needs is not in it.
    assert not any("topk" in str(node.target) for node in tapped.module.graph.nodes)


def test_the_whole_is_called_with_tensors_alone(tmp_path: Path) -> None:
    inputs = 'inputs={"one": lambda: {"x": {"a": torch.randn(4, 8), "b": 2.0}, "mask": None}}'
    found = models.program(tmp_path, "y = x['a'] * x['b']\nreturn {'out': y if mask is None else y * mask}", inputs)
    whole = flat(found.whole)
    [x] = [node.name for node in whole.inputs]
    [given] = [leaf for leaf in tree_leaves(found.built.clone_inputs()) if isinstance(leaf, torch.Tensor)]
    [returned] = whole.module(given)
    assert returned.equal(given * 2)
    assert x.startswith("x")


def test_weights_are_nobody_elses(tmp_path: Path) -> None:
    found = models.program(tmp_path, BLOCK, init=LAYERS)
    part = parted(found, "linear")
    for parameter in part.module.parameters():
        parameter.data.zero_()
    assert same(found, parted(found, "linear"))


def test_sizes_come_from_the_inputs(tmp_path: Path) -> None:
    sets = 'inputs={"one": lambda: (torch.randn(4, 8),), "two": lambda: (torch.randn(3, 8),)}, '
    found = models.program(tmp_path, SIZES, sets + BATCH)
    shaped = parted(found, "reshape")
    assert not shaped.constants
    assert same(found, shaped)
    assert same(found, shaped, "two")
    # No input has that size, only twice of it: it is a number, and the part is one of this input set alone.
    viewed = parted(found, "add", "view")
    assert list(viewed.constants.values()) == [4]
    assert same(found, viewed)
    with pytest.raises(NotAPart, match="takes no tensor"):
        parted(found, "arange")


def test_weights_are_inputs_where_there_is_nothing_else(tmp_path: Path) -> None:
    init = "self.linear = nn.utils.parametrizations.weight_norm(nn.Linear(8, 4))"
    found = models.program(tmp_path, "return self.linear(x)", init=init)
    part = parted(found, "_weight_norm")
    assert [node.op for node in part.inputs] == ["get_attr", "get_attr"]
    assert same(found, part)
    # Beside others they are what they are: weights.
    assert [node.name for node in parted(found, "linear").inputs] == ["x"]


@pytest.mark.parametrize(
    ("kept", "said"),
    [(("nothing",), "no operator 'nothing'"), (("zeros",), "takes no tensor")],
    ids=["name", "constant"],
)
def test_what_is_no_part_says_why(tmp_path: Path, kept: Any, said: str) -> None:
    found = models.program(tmp_path, "return x + torch.zeros(8)")
    with pytest.raises(NotAPart, match=said):
        parted(found, *kept)
