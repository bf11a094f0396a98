"""What a model writes in place, written otherwise: the same bits, and nothing that writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.workers.host.parts.writes import writes
from tests.workers.host.parts import models

FORWARDS = {
    "at once": "return x.mul(2).relu_().add_(1)",
    "sum": "y = x * 2\ny += x\nreturn y.cos()",
    "a view": "y = x * 2\nv = y[:, 1:3]\nv.add_(1)\nreturn y + 1",
    "a view, used again": "y = x * 2\nv = y[:, 1:3]\nv.add_(1)\nv.mul_(3)\nreturn y + v.sum()",
    "several places": "y = x.new_zeros(4, 8)\nfor i in range(3):\n    y[i, 1:] = x[i, :7]\nreturn y * x",
    "what it is a view of": "y = x * 2\nv = y.t()\ny.add_(1)\nreturn v.sin()",
    "other shapes": "y = x * 2\ny.view(2, 16).transpose(0, 1)[3] = 1\nreturn y.cos()",
    "permuted": "y = x * 2\ny.view(2, 2, 8).permute(2, 0, 1)[1].mul_(5)\nreturn y",
    "at places": "y = x * 2\ny[x > 0] = 0\nreturn y.cos()",
}


@pytest.mark.parametrize("forward", FORWARDS.values(), ids=FORWARDS)
def test_nothing_writes_and_the_numbers_are_the_same(tmp_path: Path, forward: str) -> None:
    found = models.program(tmp_path, forward)
    assert any(map(writes, found.whole.graph.nodes))
    assert not any(map(writes, found.module.graph.nodes))
    # PyTorch's own way, which splits what can be kept whole, is not taken.
    assert "aten._unsafe_view.default" not in models.targets(found)
    x = found.built.clone_inputs()[0][0]
    assert found.whole(x.clone()).equal(found.module(x.clone()))


def test_dropout_in_place_stays_one_operator(tmp_path: Path) -> None:
    init = "self.stack = nn.Sequential(nn.Linear(8, 8), nn.Hardswish(inplace=True), nn.Dropout(0.2, inplace=True))"
    found = models.program(tmp_path, "return self.stack(x)", init=init)
    assert models.targets(found) == ["aten.linear.default", "aten.hardswish.default", "aten.dropout.default"]
