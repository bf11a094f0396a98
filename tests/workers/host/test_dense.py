"""Weights that aren't dense tensors: sparse ones, and those of a class of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.testing._internal.two_tensor import TwoTensor

from pytest_modelconform.workers.host import dense
from pytest_modelconform.workers.host.build import digest
from pytest_modelconform.workers.host.large import size_of

ADJACENT = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
SPARSE = {
    torch.sparse_coo: ["._indices", "._values"],
    torch.sparse_csr: [".crow_indices", ".col_indices", ".values"],
    torch.sparse_csc: [".ccol_indices", ".row_indices", ".values"],
}


class Graph(nn.Module):
    adjacent: torch.Tensor

    def __init__(self, adjacent: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("adjacent", adjacent)


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", SPARSE, ids=str)
def test_a_sparse_tensor_is_its_indices_and_values(layout: torch.layout) -> None:
    def graph(adjacent: torch.Tensor) -> Graph:
        return Graph(adjacent.to_sparse(layout=layout))

    found = dict(dense.parts(graph(ADJACENT).adjacent))
    assert list(found) == [*SPARSE[layout], f".{layout}:(2, 2)"]
    assert not dense.is_dense(graph(ADJACENT).adjacent)
    assert size_of(graph(ADJACENT)) == sum(part.nbytes for part in found.values()) > 0
    same, other = digest(graph(ADJACENT), {}), digest(graph(ADJACENT), {})
    assert same == other
    assert digest(graph(ADJACENT * 2), {}) != same
    assert digest(graph(ADJACENT.T.contiguous()), {}) != same


def test_a_tensor_of_its_own_class_is_what_it_wraps() -> None:
    def graph(second: torch.Tensor) -> Any:
        return Graph(TwoTensor(ADJACENT, second))

    value = graph(ADJACENT).adjacent
    assert [name for name, _ in dense.parts(value)][:2] == [".a", ".b"]
    assert not dense.is_dense(value)
    assert digest(graph(ADJACENT), {}) == digest(graph(ADJACENT.clone()), {})
    assert digest(graph(ADJACENT), {}) != digest(graph(ADJACENT + 1), {}) != digest(Graph(ADJACENT), {})


def test_a_dense_tensor_is_itself() -> None:
    [(name, part)] = dense.parts(ADJACENT)
    assert name == ""
    assert part is ADJACENT
    assert dense.is_dense(ADJACENT)
