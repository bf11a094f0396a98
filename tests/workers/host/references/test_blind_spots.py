"""Tensors that a case can't see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.workers.host.references.test_runs import make

HEAD = """\
import torch

from pytest_modelconform import Case, generic_weights


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}


inputs = {{"a": lambda: (torch.randn(4, 8),), "b": lambda: (torch.randn(2, 8),)}}
case = Case(model=lambda: generic_weights(Net()), inputs=inputs{more})
"""


def unseen(folder: Path, init: str, forward: str, more: str = "") -> dict[str, Any]:
    found: dict[str, Any] = make(folder, head=HEAD.format(init=init, forward=forward, more=more))["unseen"]
    return found


def test_a_model_that_is_seen_whole(tmp_path: Path) -> None:
    found = unseen(
        tmp_path, "self.a = torch.nn.Linear(8, 8); self.n = torch.nn.LayerNorm(8)", "return self.n(self.a(x))"
    )
    assert found == {"tensors": 4, "unseen": [], "skipped": "", "constant": []}


def test_a_key_bias_changes_no_attention(tmp_path: Path) -> None:
    init = "self.q = torch.nn.Linear(8, 8); self.k = torch.nn.Linear(8, 8)"
    forward = "return torch.softmax(self.q(x) @ self.k(x).T, -1) @ x"
    assert unseen(tmp_path, init, forward)["unseen"] == ["k.bias"]


def test_statistics_of_batch_norm_are_seen(tmp_path: Path) -> None:
    found = unseen(tmp_path, "self.n = torch.nn.BatchNorm1d(8, affine=False)", "return self.n(x)")
    # num_batches_tracked is a count, and no number of the model.
    assert found == {"tensors": 2, "unseen": [], "skipped": "", "constant": []}


def test_what_is_not_used_or_drowned_is_not_seen(tmp_path: Path) -> None:
    init = "self.a, self.b = (torch.nn.Linear(8, 8, bias=False) for _ in range(2)); self.c = torch.nn.Linear(8, 8)"
    found = unseen(tmp_path, init, "return self.a(x) + 1e-7 * self.b(x)")
    assert found == {"tensors": 4, "unseen": ["b.weight", "c.bias", "c.weight"], "skipped": "", "constant": []}


def test_without_gradients_each_tensor_is_tried(tmp_path: Path) -> None:
    init = "self.a = torch.nn.Linear(8, 8, bias=False); self.b = torch.nn.Linear(8, 8, bias=False)"
    found = unseen(tmp_path, init, "with torch.no_grad(): return self.a(x) + 1e-7 * self.b(x)")
    assert found == {"tensors": 2, "unseen": ["b.weight"], "skipped": "", "constant": []}


def test_masks_of_infinities_are_no_obstacle(tmp_path: Path) -> None:
    forward = "return (self.a(x), torch.full((len(x), len(x)), float('-inf')).triu(1) + self.a(x) @ self.a(x).T)"
    found = unseen(tmp_path, "self.a = torch.nn.Linear(8, 8)", forward)
    assert found["unseen"] == []


@pytest.mark.parametrize(
    "forward",
    ["return self.a(x).argmax(-1)", "assert self.a.weight.dtype == torch.float32; return self.a(x)"],
)
def test_where_nothing_can_be_said(tmp_path: Path, forward: str) -> None:
    found = unseen(tmp_path, "self.a = torch.nn.Linear(8, 8)", forward)
    assert found["unseen"] == []
    assert found["skipped"] == "no output of the exporters' input set has a float64 reference"


def test_an_integer_output_counts(tmp_path: Path) -> None:
    # The second output is what sees b; it is compared, too.
    init = "self.a = torch.nn.Linear(8, 8); self.b = torch.nn.Parameter(torch.ones(8))"
    forward = "return self.a(x), (self.b * 1e4).round().long()"
    found = unseen(tmp_path, init, forward)
    assert found == {"tensors": 3, "unseen": [], "skipped": "", "constant": []}
    # A change of 1 % changes none of these integers.
    found = unseen(tmp_path, init, "return self.a(x), (self.b * 3 + torch.arange(8)).round().long()")
    assert found["unseen"] == ["b"]
