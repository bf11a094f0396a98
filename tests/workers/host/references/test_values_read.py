"""What Python reads of the inputs' values, and that no input set shows any other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_modelconform.workers.host.build import build
from pytest_modelconform.workers.host.references.eager import run
from pytest_modelconform.workers.host.references.values_read import notes
from tests.support import runs

HEAD = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.tensor(3))
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x, n):
        y = self.linear(x)
        {}


def some(*numbers):
    return torch.rand(2, 4), torch.tensor(numbers)


case = Case(model=Net, inputs={{"one": lambda: some({}), "two": lambda: some({})}})
"""
POOL = """{}
        return torch.zeros(size, 4).index_add(0, n, y)"""


def said(folder: Path, body: str, one: str = "0, 1", two: str = "1, 1") -> list[str]:
    path = runs.case_file(folder, "read", HEAD.format(body, one, two))
    return notes(build(str(path), path.name, path.stem), run)


@pytest.mark.parametrize(
    "line",
    [
        "size = int(n.max()) + 1",
        "size = n.max().item() + 1",
        "size = max(n.tolist()) + 1",
        "size = int(n.numpy().max()) + 1",
        "size = 3 if (n * 2 > 5).any() else 2",
        "size = 3 if 7 in n else 2",
        "size = len(list(range(n.max()))) + 1",
        "size = 3 if torch.equal(n, n + 1) else 2",
    ],
)
def test_numbers_that_are_the_same_in_every_set_are_told_with_their_place(line: str, tmp_path: Path) -> None:
    two = "0, 1" if "list()" in line or "numpy" in line else "1, 1"
    [note] = said(tmp_path, POOL.format(line), two=two)
    assert re.search(re.escape(f"(`{line}` at ") + r"read\w*\.py:14\)\. An export that keeps them", note)


@pytest.mark.parametrize(
    ("body", "one", "two"),
    [
        (POOL.format("size = int(n.max()) + 1"), "0, 1", "2, 1"),  # another number
        (POOL.format("size = int(self.count)"), "0, 1", "1, 1"),  # no input's
        (POOL.format("size = n.shape[0] + int(torch.zeros_like(n).max())"), "0, 1", "1, 1"),  # sizes only
        ("return y[:n.max()]", "0, 1", "1, 1"),  # a trace keeps the slice
        ("assert n.max() < 3\n        return y + n[:, None]", "0, 1", "1, 1"),
        ("torch._check_value((n < 3).all())\n        return y + n[:, None]", "0, 1", "1, 1"),
        ("if n.max() > 3:\n            raise ValueError\n        return y + n[:, None]", "0, 1", "1, 1"),
        ("return torch.cond(n.max() > 0, lambda y: y + 1, lambda y: y - 1, (y,))", "0, 1", "1, 1"),
    ],
)
def test_what_no_trace_gets_wrong_is_not(body: str, one: str, two: str, tmp_path: Path) -> None:
    assert said(tmp_path, body, one, two) == []


def test_values_are_followed_through_what_is_written_in_place(tmp_path: Path) -> None:
    body = """kept = torch.zeros(4, dtype=torch.long)
        kept[1:3].copy_(n)
        torch.add(kept, 1, out=kept)
        return y * kept.sum().item()"""
    [note] = said(tmp_path, body, two="1, 0")
    assert "`return y * kept.sum().item()`" in note


def test_a_further_place_is_counted(tmp_path: Path) -> None:
    body = "\n        ".join([*("y = y + int(n[1])" for _ in range(5)), "return y"])
    [note] = said(tmp_path, body)
    assert note.count("`y = y + int(n[1])`") == 3
    assert " and 2 more)" in note


def test_a_model_that_no_mode_can_follow_is_left_alone(tmp_path: Path) -> None:
    body = """from torch.utils._python_dispatch import _get_current_dispatch_mode
        if _get_current_dispatch_mode() is not None:
            raise RuntimeError
        return y * int(n.max())"""
    assert said(tmp_path, body) == []
