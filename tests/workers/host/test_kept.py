"""What a run leaves in a model's plain attributes is seen, and what it leaves alone is no change."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pytest_modelconform.workers.host import kept


class Cache:
    __slots__ = ("by_size",)

    def __init__(self) -> None:
        self.by_size: dict[int, list[float]] = {}


class Holder:
    """Refers to itself, and to the module that holds it."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.me, self.rows = model, self, [0]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.table: torch.Tensor | None = None
        self.mask = torch.zeros(2)
        self.array = np.zeros(2)
        self.rows: list[int] = []
        self.nest = {"by size": {4: OrderedDict(a=(1, [2]))}}
        self.names = {"a"}
        self.cache = Cache()
        self.settings = SimpleNamespace(length=4, scale=math.nan)
        self.holder = Holder(self)
        self.not_children = [nn.Linear(2, 2)]
        self.meta = torch.zeros(2, device="meta")
        self.quantised = torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.quint8)
        self.function: Callable[..., Any] = torch.relu
        self.weights = [self.linear.weight]


CHANGES: dict[str, Callable[[Any], Any]] = {
    "table": lambda net: setattr(net, "table", torch.zeros(3)),
    "mask": lambda net: net.mask.data.add_(1),
    "array": lambda net: net.array.__setitem__(0, 1),
    "rows": lambda net: net.rows.append(1),
    "nest": lambda net: net.nest["by size"][4]["a"][1].append(3),
    "names": lambda net: net.names.add("b"),
    "cache": lambda net: net.cache.by_size.update({5: [0.5]}),
    "settings": lambda net: setattr(net.settings, "length", 5),
    "holder": lambda net: net.holder.rows.append(1),
    "not_children": lambda net: net.not_children[0].weight.data.add_(1),
    "meta": lambda net: setattr(net, "meta", torch.zeros(2, device="meta")),
    "function": lambda net: setattr(net, "function", torch.sigmoid),
    "linear.extra": lambda net: setattr(net.linear, "extra", 1),
    "weights": lambda net: setattr(net, "weights", [torch.zeros(3, 3)]),
}


@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor")
@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_is_named(name: str) -> None:
    net = Net()
    before = kept.state(net)
    assert kept.changed(before, net) == []
    CHANGES[name](net)
    assert kept.changed(before, net) == [name]


@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor", "ignore:.*torch.jit")
def test_what_is_made_anew_and_has_the_same_content_is_no_change() -> None:
    net = Net()
    before = kept.state(net)
    net.mask, net.array, net.rows = torch.zeros(2), np.zeros(2), []
    net.settings.scale = float("nan")
    # Parameters are the digest's matter, and so are hooks nobody's.
    net.linear.weight = nn.Parameter(torch.ones(3, 3))
    net.weights = [net.linear.weight]
    net.register_forward_hook(lambda *_: None)
    # It leaves marks of its own, and transformers does.
    torch.jit.script(net.linear)
    vars(net)["_output_capturing_hooks_installed"] = True
    assert kept.changed(before, net) == []


@pytest.mark.filterwarnings("ignore:.*weight_norm")
def test_a_weight_that_each_call_computes_is_no_state() -> None:
    net = nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 3)), nn.utils.spectral_norm(nn.Linear(3, 3))).eval()
    before = kept.state(net)
    for name in ("weight_g", "weight_v"):
        net[0].get_parameter(name).data.mul_(2)
    net[1].get_parameter("weight_orig").data.mul_(2)
    old = [vars(one)["weight"] for one in net]
    net(torch.ones(1, 3))
    assert not any(torch.equal(vars(one)["weight"], was) for one, was in zip(net, old, strict=True))
    assert kept.changed(before, net) == []


def test_an_attribute_that_is_gone_is_a_change() -> None:
    net = nn.Linear(2, 2)
    vars(net)["extra"] = 1
    before = kept.state(net)
    del vars(net)["extra"]
    assert kept.changed(before, net) == ["extra"]


@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor")
def test_what_runs_have_changed_is_put_back_as_often_as_they_do() -> None:
    net = Net()
    before, put_back = kept.state(net), kept.keeper(net)
    # Objects are copies then; what they hold is as it was.
    objects = ["cache", "holder", "settings", "meta", "not_children"]
    names = [name for name in CHANGES if name not in objects]
    for _ in range(2):
        for name in names:
            CHANGES[name](net)
        assert sorted(kept.changed(before, net)) == sorted(names)
        put_back(names)
        assert kept.changed(before, net) == []
    for name in objects:
        CHANGES[name](net)
    put_back(objects)
    assert (net.cache.by_size, net.settings.length) == ({}, 4)
    assert (net.holder.rows, net.holder.model) == ([0], net)
