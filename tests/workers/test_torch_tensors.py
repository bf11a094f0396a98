from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils import _pytree

from pytest_modelconform.workers import tensors, torch_tensors
from pytest_modelconform.workers.loop import WorkerError
from pytest_modelconform.workers.tensors import DTYPES, Tensor
from pytest_modelconform.workers.torch_tensors import decode, encode, from_torch, leaves, order_of, same_bits, to_torch

Pair = collections.namedtuple("Pair", ["first", "second"])


@dataclasses.dataclass
class Output:
    logits: torch.Tensor
    cache: tuple[torch.Tensor, ...] | None = None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (0, 3)])
def test_every_dtype_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    data = bytes(i % 2 for i in range(tensors.size(dtype, shape)))
    value = to_torch(Tensor(dtype, shape, data))
    assert str(value.dtype) == f"torch.{dtype}"
    assert value.shape == shape
    assert from_torch(value) == Tensor(dtype, shape, data)


@pytest.mark.parametrize(
    "value",
    [
        torch.arange(6.0).reshape(2, 3).t(),
        torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last),
        torch.arange(24).reshape(2, 3, 4).permute(2, 0, 1),
        torch.tensor([[1 + 2j, 3 - 1j]]).t().conj(),
        torch.arange(3.0).expand(4, 3),
        torch.arange(10.0)[::2],
        torch.arange(2.0)[1:].as_strided((1,), (2,)),  # one element counts as contiguous, whatever its stride
        torch.tensor(1.5),
        torch.tensor([-0.0, float("nan"), float("inf")]),
    ],
)
def test_values_and_the_order_of_strides(value: torch.Tensor) -> None:
    again = to_torch(from_torch(value))
    assert same_bits(again, value.resolve_conj())
    if 0 not in value.stride():
        assert order_of(again) == order_of(value)


def test_what_can_not_be_sent() -> None:
    with pytest.raises(
        WorkerError, match=r"layout torch\.sparse_coo can't be sent; dense ones of these can: bool, uint8"
    ):
        from_torch(torch.ones(2, 2).to_sparse())


def test_trees() -> None:
    x, y = torch.ones(2), torch.zeros(3)
    value = {"a": [x, (y, None)], 3: Pair(x, y), "out": Output(x, (y,)), "flag": True, "size": 7, "scale": 0.5}
    out: dict[str, Tensor] = {}
    tree = encode(value, lambda path: "0" + path, out)
    assert tree == {
        "dict": [
            ["a", {"list": [{"tensor": "0/a/0"}, {"tuple": [{"tensor": "0/a/1/0"}, {"none": True}]}]}],
            [3, {"tuple": [{"tensor": "0/3/0"}, {"tensor": "0/3/1"}]}],
            ["out", {"dict": [
                ["logits", {"tensor": "0/out/logits"}], ["cache", {"tuple": [{"tensor": "0/out/cache/0"}]}],
            ]}],
            ["flag", {"tensor": "0/flag"}],
            ["size", {"tensor": "0/size"}],
            ["scale", {"tensor": "0/scale"}],
        ]
    }  # fmt: skip
    assert [out[f"0/{name}"].dtype for name in ("flag", "size", "scale")] == ["bool", "int64", "float64"]
    back = decode(tree, lambda key: to_torch(out[key]))
    assert list(back) == ["a", 3, "out", "flag", "size", "scale"]
    assert back["a"][1][1] is None
    assert isinstance(back[3], tuple)
    assert same_bits(back["a"][0], x)


class Kept:
    """A class that is registered as a node, as transformers' DynamicCache can be."""

    def __init__(self, keys: list[torch.Tensor], values: list[torch.Tensor]) -> None:
        self.keys, self.values = keys, values


class Row(Kept):
    """One that is registered without names."""


_pytree.register_pytree_node(
    Kept,
    lambda kept: ([kept.keys, kept.values], None),
    lambda found, _: Kept(*found),
    serialized_type_name="modelconform.Kept",
    flatten_with_keys_fn=lambda kept: (
        [(_pytree.MappingKey("keys"), kept.keys), (_pytree.GetAttrKey("values"), kept.values)],
        None,
    ),
)
_pytree.register_pytree_node(
    Row,
    lambda row: ([row.keys, row.values], None),
    lambda found, _: Row(*found),
    serialized_type_name="modelconform.Row",
)


@pytest.mark.parametrize(("kind", "names"), [(Kept, ("keys", "values")), (Row, (0, 1))])
def test_a_node_of_a_pytree_is_a_dict_among_outputs(kind: type[Kept], names: tuple[Any, Any]) -> None:
    x, y = torch.ones(2), torch.zeros(3)
    value = (kind([x], [y, x]), y)
    out: dict[str, Tensor] = {}
    first, second = names
    assert encode(value, str, out)["tuple"][0] == {
        "dict": [
            [first, {"list": [{"tensor": f"/0/{first}/0"}]}],
            [second, {"list": [{"tensor": f"/0/{second}/0"}, {"tensor": f"/0/{second}/1"}]}],
        ]
    }
    assert [path for path, _ in leaves(value)] == list(out)
    assert all(one is other for (_, one), other in zip(leaves(value), _pytree.tree_leaves(value), strict=True))
    with pytest.raises(WorkerError, match="has no place in inputs or outputs"):
        encode(value, str, {}, constants=True)


def test_constants_stay_constants() -> None:
    out: dict[str, Tensor] = {}
    values: list[Any] = [True, 3, "relu", 0.1, float("inf"), None]
    tree = encode(values, str, out, constants=True)
    assert tree["list"] == [
        {"value": True}, {"value": 3}, {"value": "relu"}, {"float": (0.1).hex()}, {"float": "inf"}, {"none": True}
    ]  # fmt: skip
    assert not out
    assert decode(tree, lambda key: torch.empty(0)) == values


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "a builtins.object has no place in inputs or outputs: tensors, numbers, strings, None, and lists"),
        ({1.5: torch.ones(1)}, "a dict with keys other than strings and integers"),
        (np.ones(2), r"a numpy.ndarray has no place .* have \(torch.as_tensor makes a tensor of it\)$"),
        (iter(()), "has no place"),
        ({"past": [torch.ones(2), object()]}, "past/1: a builtins.object has no place"),
    ],
)
def test_what_has_no_place_in_a_tree(value: Any, message: str) -> None:
    with pytest.raises(WorkerError, match=message):
        encode(value, str, {})


def test_what_is_no_tree() -> None:
    with pytest.raises(WorkerError, match="unknown kind of tree: 'blob'"):
        decode({"blob": 1}, lambda key: torch.empty(0))


def bits() -> Iterator[tuple[torch.Tensor, torch.Tensor, bool]]:
    nan = torch.tensor([float("nan")])
    yield nan, nan.clone(), True
    yield torch.tensor([0.0]), torch.tensor([-0.0]), False
    yield torch.ones(2), torch.ones(2, 1), False
    yield torch.ones(2), torch.ones(2, dtype=torch.float64), False
    yield torch.empty(0, 3), torch.empty(0, 3), True
    yield torch.ones(1).as_strided((1, 1), (2, 2)), torch.ones(1, 1), True
    yield torch.arange(6).reshape(2, 3).t(), torch.arange(6).reshape(2, 3).t().contiguous(), True


@pytest.mark.parametrize(("a", "b", "same"), list(bits()))
def test_same_bits(a: torch.Tensor, b: torch.Tensor, same: bool) -> None:
    assert same_bits(a, b) is same
    assert torch_tensors.same_bits(b, a) is same
