"""Tensors that a case can't see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.workers.host.references import blind_spots
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


def test_what_has_no_gradient_is_tried(tmp_path: Path) -> None:
    """As in a quantised model: rounding has none, and a change shows all the same."""
    init = "self.a = torch.nn.Linear(8, 8); self.b = torch.nn.Linear(8, 8)"
    found = unseen(tmp_path, init, "return torch.round(self.a(x) * 64) / 64")
    assert found == {"tensors": 4, "unseen": ["b.bias", "b.weight"], "skipped": "", "constant": []}


def test_weights_of_a_class_of_their_own_are_named(tmp_path: Path) -> None:
    init = (
        "from torch.testing._internal.two_tensor import TwoTensor; w = torch.rand(8, 8); "
        "self.a = torch.nn.Linear(8, 8); self.w = torch.nn.Parameter(TwoTensor(w, w), requires_grad=False)"
    )
    found = unseen(tmp_path, init, "return self.a(x)")
    assert found["skipped"] == "weights of a class of their own (TwoTensor) aren't changed"
    assert (found["tensors"], found["unseen"]) == (2, [])


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


def test_what_another_input_set_shows_is_seen(tmp_path: Path) -> None:
    """Its size takes another branch; of the generated sets none does so by the case's will."""
    init = "self.a = torch.nn.Linear(8, 8); self.b = torch.nn.Linear(8, 8); self.c = torch.nn.Linear(8, 8)"
    forward = "return (self.a if len(x) == 4 else self.b if len(x) == 2 else self.c)(x)"
    found = unseen(tmp_path, init, forward, ', dynamic_shapes={"x": {0: "batch"}}')
    assert (found["unseen"], found["skipped"]) == (["c.bias", "c.weight"], "")


def test_many_are_tried_at_once_where_none_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[list[str]] = []
    sees = blind_spots._Search.sees

    def watched(self: Any, names: list[str]) -> bool:
        tried.append(list(names))
        return sees(self, names)

    monkeypatch.setattr(blind_spots._Search, "sees", watched)
    # 24 biases are next to nothing, and one is not.
    init = "self.few = torch.nn.ParameterList(torch.zeros(8) for _ in range(25))"
    init += "; self.a = torch.nn.Linear(8, 8, bias=False)"
    forward = "return self.a(x) + sum(1e-7 / 2**k * b for k, b in enumerate(self.few)) + 1e-2 * self.few[0]"
    found = unseen(tmp_path, init, forward)
    assert found["unseen"] == sorted(f"few.{k}" for k in range(1, 25))
    assert found["skipped"] == ""
    assert len(tried) < 16  # by both input sets
    assert max(map(len, tried)) >= 8


def test_what_several_changes_show_is_tried_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Search:
        limit = 1.0

        def sees(self, names: list[str]) -> bool:
            tried.append("".join(names))
            return "e" in names

    tried: list[str] = []
    found: list[str] = []
    estimates = dict.fromkeys("abcdefgh", 0.0)
    assert blind_spots._try(Search(), list(estimates), estimates, found) == 0  # type: ignore[arg-type]
    assert (found, tried) == (list("abcdfgh"), ["a", "bc", "defg", "d", "ef", "e", "f", "gh"])
    # Those that may be seen together are not put together.
    tried.clear()
    estimates = {"a": 0.3, "b": 0.3, "c": 0.45, "d": blind_spots._UNKNOWN}
    assert blind_spots._try(Search(), list(estimates), estimates, found) == 0  # type: ignore[arg-type]
    assert tried == ["a", "b", "c", "d"]
