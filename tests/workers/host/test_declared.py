"""What a case declares of its sizes, held against its own inputs."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import torch
from torch.export import Dim

from pytest_modelconform.workers.host.declared import check, check_given, fault_of_spec
from pytest_modelconform.workers.host.generate import Call
from pytest_modelconform.workers.loop import WorkerError


def forward(x: Any, pair: Any = None, *, mask: Any = None) -> None: ...


def variable(*inputs: Any, **named: Any) -> None: ...


SIGNATURE, VARIABLE = inspect.signature(forward), inspect.signature(variable)


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(shape)


def call(*args: Any, **kwargs: Any) -> Call:
    return args, kwargs


half = Dim("half", min=3, max=8)
FITTING: list[tuple[Any, Call]] = [
    (None, call(ones(3))),
    ({"x": {0: half}}, call(ones(3))),
    ({"x": {0: half}}, call(ones(8))),
    ({"x": {0: 2 * half}}, call(ones(16, 7))),
    ({"x": {0: "batch"}, "mask": {0: "batch"}}, call(ones(4, 2), mask=ones(4))),
    ({"x": {0: "batch"}, "pair": [{0: "batch"}, None]}, call(ones(4), [ones(4), ones(5)])),
    # Each is a dimension of its own.
    ({"x": {0: Dim.AUTO}, "mask": {0: Dim.AUTO}}, call(ones(4), mask=ones(5))),
    ({"x": {0: Dim.STATIC, 1: None, 2: 3}}, call(ones(4, 5, 3))),
    (({0: "batch"}, None), call(ones(4), None)),
    ([{0: half}], call(x=ones(4))),
    # Three seconds of sound.
    ({"x": {0: "samples"}}, call(ones(48000))),
    ({"x": {0: 2 * Dim("pairs")}}, call(ones(48000))),
    ({"x": {0: Dim("samples") - 1}}, call(ones(47999))),
]


@pytest.mark.parametrize(("spec", "given"), FITTING)
def test_what_fits(spec: Any, given: Call) -> None:
    check("net", SIGNATURE, spec, {"one": given})
    assert check_given("net", SIGNATURE, spec, {"one": given}) == ["one"]


FAULTS: list[tuple[Any, Call, str]] = [
    (
        {"x": {0: half}},
        call(ones(2)),
        "dimension 0 of x is 2 in input set 'one', outside Dim('half', min=3): change the inputs",
    ),
    (
        {"x": {1: half}},
        call(ones(2, 9)),
        "dimension 1 of x is 9 in input set 'one', outside Dim('half', max=8): change",
    ),
    (
        {"x": {0: Dim.AUTO(max=4)}},
        call(ones(5)),
        "dimension 0 of x is 5 in input set 'one', outside Dim('dim_0', max=4)",
    ),
    (
        {"x": {0: 2 * half}},
        call(ones(7)),
        "dimension 0 of x is 7 in input set 'one', which isn't 2*half for any whole number half",
    ),
    (
        {"x": {0: 2 * half}},
        call(ones(18)),
        "dimension 0 of x is 18 in input set 'one' (2*half, with half = 9), outside Dim",
    ),
    (
        {"x": {0: "batch"}, "mask": {1: "batch"}},
        call(ones(4), mask=ones(2, 5)),
        "'batch' is 4 in x and 5 in mask (input set 'one'; dimensions 0 and 1). One name stands for one size: give",
    ),
    (
        {"pair": [None, {"h": [half]}]},
        call(1, [2, {"h": ones(2)}]),
        "dimension 0 of pair[1]['h'] is 2 in input set 'one', out",
    ),
    (
        {"x": {-1: "batch"}},
        call(ones(4)),
        "has an entry for dimension -1 of x, which doesn't have that many in input set 'one'",
    ),
    ({"x": {0: 3}}, call(ones(4)), "dimension 0 of x is 4 in input set 'one', and 3 here: change the inputs, or"),
    (({}, {0: half}), call(ones(4), ones(2)), "dimension 0 of pair is 2 in input set 'one', outside"),
    ((None, None, {0: half}), call(ones(4), mask=ones(2)), "dimension 0 of mask is 2 in input set 'one', outside"),
]


@pytest.mark.parametrize(("spec", "given", "says"), FAULTS)
def test_what_does_not(spec: Any, given: Call, says: str) -> None:
    message = rf"^case 'net', field 'dynamic_shapes': {re.escape(says)}"
    with pytest.raises(WorkerError, match=message) as caught:
        check("net", SIGNATURE, spec, {"one": given})
    assert caught.value.stage == "build"


def test_every_set_is_looked_at() -> None:
    sets = {"fits": call(ones(3)), "large": call(ones(9))}
    with pytest.raises(WorkerError, match="dimension 0 of x is 9 in input set 'large'"):
        check("net", SIGNATURE, {"x": {0: half}}, sets)


def test_arguments_that_forward_takes_as_they_come() -> None:
    for spec in ({"inputs": [{0: half}]}, [{0: half}]):
        with pytest.raises(WorkerError, match=r"dimension 0 of (inputs\[0\]|argument 0) is 9"):
            check("net", VARIABLE, spec, {"one": call(ones(9))})
    for named in ({"mask": {0: half}}, {"named": {"mask": {0: half}}}):
        with pytest.raises(WorkerError, match="dimension 0 of mask is 9"):
            check("net", VARIABLE, named, {"one": call(mask=ones(9))})
        assert check_given("net", VARIABLE, named, {"one": call(mask=ones(4))}) == ["one"]


def test_a_set_that_gives_what_is_named_is_exported() -> None:
    spec = {"x": {0: "batch"}, "mask": {0: "batch"}}
    sets = {"bare": call(ones(2)), "none": call(ones(2), mask=None), "whole": call(ones(2), mask=ones(2))}
    assert check_given("net", SIGNATURE, spec, sets) == ["whole"]


NOT_GIVEN: list[tuple[Any, Call, str]] = [
    ({"x": {}, "mask": {0: "n"}}, call(ones(2)), "names the argument 'mask', and input set 'one' gives x. Leave the"),
    (
        {"x": {}, "mask": {0: "n"}},
        call(ones(2), mask=None),
        "has sizes for 'mask', for which input set 'one' gives",
    ),
    (({0: "n"}, None), call(ones(2)), "has 2 entries, and input set 'one' gives 1 arguments. Leave the entry out"),
]


@pytest.mark.parametrize(("spec", "given", "says"), NOT_GIVEN)
def test_what_no_set_gives_is_the_cases_fault(spec: Any, given: Call, says: str) -> None:
    with pytest.raises(WorkerError, match=f"^case 'net', field 'dynamic_shapes': {re.escape(says)}"):
        check_given("net", SIGNATURE, spec, {"one": given})


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (3, "give a dict by argument, like {'x': {0: 'batch'}}, not a value of type int"),
        ("batch", "give a dict by argument"),
        ({"x": {0: ""}}, "'' can't be a dimension's name"),
        (({0: "a b"},), "'a b' can't be a dimension's name: use letters, digits and '_', like 'batch'"),
        ({"x": [{0: object()}]}, "a value of type object is not a dimension: give a name, a Dim, or None"),
    ],
)
def test_what_no_dynamic_shapes_may_be(spec: Any, says: str) -> None:
    assert fault_of_spec(spec).startswith(says)


def test_what_dynamic_shapes_may_be() -> None:
    batch = Dim("batch")
    for spec in (None, {}, {"x": {0: "n", 1: batch, 2: 2 * batch, 3: 4}}, [None, (None, Dim.AUTO)], {"x": None}):
        assert fault_of_spec(spec) == ""
