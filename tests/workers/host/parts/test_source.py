"""Programs as the calls that somebody would write, and which of their sizes can be smaller."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import nn
from torch.nn import functional

from pytest_modelconform.workers.host.build import Built
from pytest_modelconform.workers.host.parts.sizes import Finder
from pytest_modelconform.workers.host.parts.source import Unwritable
from pytest_modelconform.workers.host.parts.trace import Trace, traced

Function = Callable[..., Any]


class Calls(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


def trace(model: nn.Module | Function, *inputs: torch.Tensor) -> Trace:
    made = model if isinstance(model, nn.Module) else Calls(model)
    built = types.SimpleNamespace(model=made.eval(), clone_inputs=lambda key: (inputs, {}))
    return traced(cast(Built, built), "one")


def source(found: Trace) -> list[str]:
    """The lines of a trace, as written.py has them."""

    def said(text: list[Any]) -> str:
        return "".join(part if isinstance(part, str) else str(found.literals[part]) for part in text)

    lines = []
    for line in found.lines:
        arguments = [f"{a.name}={said(a.text)}" if a.name else said(a.text) for a in line.arguments]
        if line.method:
            lines.append(f"{arguments[0]}.{line.function}({', '.join(arguments[1:])})")
        else:
            lines.append(f"{line.function}({', '.join(arguments)})" if line.function else arguments[0])
    return lines


X = torch.randn(2, 8, 7, 7)
FUNCTIONS: dict[str, tuple[nn.Module | Function, tuple[torch.Tensor, ...], str]] = {
    "a module": (
        nn.Conv2d(8, 4, 3, stride=2, padding=1),
        (X,),
        "torch.nn.functional.conv2d(x, self.weight, bias=self.bias, stride=[2, 2], padding=[1, 1])",
    ),
    "a default": (
        lambda x: functional.avg_pool2d(x, 3, 2, ceil_mode=True),
        (X,),
        "torch.nn.functional.avg_pool2d(x, [3, 3], stride=[2, 2], ceil_mode=True)",
    ),
    "other names than the operator's": (
        nn.BatchNorm2d(8),
        (X,),
        "torch.nn.functional.batch_norm(x, weight=self.weight, bias=self.bias, running_mean=self.running_mean, "
        "running_var=self.running_var, training=False, momentum=0.1, eps=1e-05)",
    ),
    "a string": (
        lambda x: functional.gelu(x, approximate="tanh"),
        (X,),
        'torch.nn.functional.gelu(x, approximate="tanh")',
    ),
    "a method": (lambda x: x.view(2, -1), (X,), "x.view([2, -1])"),
    "a dtype": (lambda x: x.to(torch.float16), (X,), "x.to(torch.float16)"),
    "infinity": (lambda x: x.clamp(max=float("inf")), (X,), 'torch.clamp(x, max=float("inf"))'),
    "no function": (
        lambda x: functional.interpolate(x, scale_factor=2.0),
        (X,),
        "torch.ops.aten.upsample_nearest2d.vec(x, None, [2.0, 2.0])",
    ),
    "an index": (nn.Embedding(10, 4), (torch.tensor([[1, 2]]),), "torch.embedding(self.weight, indices)"),
    "a name of Python's": (lambda x: torch.sum(x, 1) if x.dim() else x, (X,), "torch.sum(x, [1])"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_call(name: str) -> None:
    model, inputs, wanted = FUNCTIONS[name]
    found = trace(model, *inputs)
    assert source(found) == [wanted]
    # What is written computes what the model does.
    wanted_output = model(*inputs)
    [output] = found.run(found.tensors, found.literals)
    assert torch.equal(output, wanted_output)


def test_two_results_and_what_is_in_place() -> None:
    found = trace(lambda x: torch.topk(x.relu_(), 3, 1), X.clone())
    assert source(found)[:2] == ["torch.nn.functional.relu_(x)", "torch.topk(relu_, 3, dim=1)"]
    assert found.returns == ["getitem", "getitem_1"]
    assert source(found)[2:] == ["topk[0]", "topk[1]"]


def test_what_cant_be_written() -> None:
    with pytest.raises(Unwritable, match="a loop or a branch"):
        trace(lambda x: torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,)), X)


# By model and inputs: each size, the least that it can be, and the places that have it.
SIZES: dict[str, tuple[nn.Module | Function, tuple[torch.Tensor, ...], set[tuple[int, int, str]]]] = {
    "a weight's channels go with those of its input": (
        nn.Linear(6, 5),
        (torch.randn(4, 6),),
        {(4, 1, "x0"), (6, 2, "self.weight1 x1"), (5, 2, "self.bias0 self.weight0")},
    ),
    "a number in the call goes with them": (
        nn.LayerNorm(6),
        (torch.randn(4, 6),),
        {(4, 1, "x0"), (6, 2, "#0 self.bias0 self.weight0 x1")},
    ),
    "groups are so many times a size": (
        nn.Conv1d(8, 8, 1, groups=4, bias=False),
        (torch.randn(1, 8, 9),),
        {(9, 2, "x2"), (8, 4, "self.weight0"), (2, 1, "self.weight1 x1*4")},
    ),
    "a product": (
        lambda x: x.reshape(6, 5),
        (torch.randn(2, 3, 5),),
        {(2, 1, "#0*3 x0"), (5, 2, "#1 x2")},
    ),
    "alike, and not the same": (
        functional.scaled_dot_product_attention,
        (torch.randn(1, 4, 4), torch.randn(1, 5, 4), torch.randn(1, 5, 3)),
        {(4, 2, "query1"), (4, 2, "key2 query2"), (5, 2, "key1 value1"), (3, 2, "value2")},
    ),
    "what may be shorter, and what has to follow": (
        lambda index, src: torch.zeros(7, 4).scatter_add(0, index, src),
        (torch.randint(0, 7, (9, 4)), torch.randn(9, 4)),
        {(9, 1, "index0 src0"), (4, 2, "index1 src1")},
    ),
    # On such weights the operator reads what isn't there.
    "a recurrent layer": (
        nn.LSTM(5, 3, batch_first=True),
        (torch.randn(2, 7, 5),),
        {(2, 1, "#0 #2 x0"), (7, 2, "x1"), (5, 2, "self.weight_ih_l01 x2")},
    ),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name: str) -> None:
    model, inputs, wanted = SIZES[name]
    found = Finder(trace(model, *inputs)).found()
    said = {
        (
            size.of,
            size.least,
            " ".join(
                sorted(f"{s.tensor or '#'}{s.axis}{f'*{factor}' * (factor > 1)}" for s, factor in size.slots.items())
            ),
        )
        for size in found
    }
    assert wanted <= said


def test_indices_stay_within_what_is_left() -> None:
    found = Finder(trace(nn.Embedding(100, 6), torch.tensor([[99, 7], [5, 1]]))).found()
    assert {(size.of, size.least) for size in found} >= {(100, 2), (6, 2)}


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = self.linear(x).view(x.shape[0], x.shape[1], 2, 4).transpose(1, 2)
        return heads.reshape(2 * x.shape[0], x.shape[1], 4)


def test_sizes_that_vary_are_read_off_the_input() -> None:
    inputs = {"one": (torch.randn(3, 5, 6),), "two": (torch.randn(2, 4, 6),)}
    built = types.SimpleNamespace(
        model=Heads(),
        clone_inputs=lambda key: (inputs[key], {}),
        exporter_set="one",
        dynamic_shapes={"x": {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=9)}},
    )
    found = traced(cast(Built, built), "two", varying=True)
    assert source(found)[1:] == [
        "linear.view([x.shape[0], x.shape[1], 2, 4])",
        "torch.transpose(view, 1, 2)",
        "torch.reshape(transpose, [(2 * x.shape[0]), x.shape[1], 4])",
    ]
    assert found.varies == {"x": {0: '"batch"', 1: 'torch.export.Dim("length", max=9)'}}
    assert found.others["x"].shape == (2, 4, 6)
    # They are another size in each set, so that none of them is made smaller.
    assert {(size.of, size.least) for size in Finder(found).found()} == {(6, 2)}
    for inputs_of_set in inputs.values():
        [output] = found.run({**found.tensors, "x": inputs_of_set[0]}, found.literals)
        assert torch.equal(output, built.model(*inputs_of_set))
    # On one set, as numbers.
    assert source(traced(cast(Built, built), "two"))[1] == "linear.view([2, 4, 2, 4])"


def test_nothing_varies() -> None:
    built = types.SimpleNamespace(model=Heads(), clone_inputs=lambda key: ((X,), {}), dynamic_shapes=None)
    with pytest.raises(Unwritable, match="no sizes that vary"):
        traced(cast(Built, built), "one", varying=True)


def test_an_operator_of_the_cases_own() -> None:
    with torch.library._scoped_library("ours_of_a_test", "DEF") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: 2 * x, "CompositeExplicitAutograd")
        with pytest.raises(Unwritable, match=r"an operator of the case's own, ours_of_a_test\.twice"):
            trace(lambda x: torch.ops.ours_of_a_test.twice(x), X)
