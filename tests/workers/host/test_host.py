"""What the case host does with a case that it has built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.workers.host.host import Host
from tests.support import runs

SOURCE = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.table, self.calls = None, 0

    def forward(self, x):
        {}


net = Net()
two = {{"five": lambda: (torch.randn(2, 5, 4),), "nine": lambda: (torch.randn(2, 9, 4),)}}
case = Case(model=lambda: Net(), inputs=two, dynamic_shapes={{"x": {{1: "n"}}}}, fixed_inputs="small")
shared = Case(model=lambda: net, inputs=two, dynamic_shapes={{"x": {{1: "n"}}}}, fixed_inputs="small")
"""
KEEPS = """\
if self.table is None or self.table.shape[0] < x.shape[1]:
            self.table = torch.tensor([[(i + j) ** 0.5 for j in range(4)] for i in range(x.shape[1])])
        return self.linear(x + self.table[: x.shape[1]])"""


@pytest.mark.parametrize(("body", "kept"), [(KEEPS, True), ("return self.linear(x)", False)])
@pytest.mark.parametrize("case", ["case", "shared"])
def test_an_export_is_of_a_model_that_no_run_has_left_anything_in(
    body: str, kept: bool, case: str, tmp_path: Path
) -> None:
    path = runs.case_file(tmp_path, "kept", SOURCE.format(body))
    where = {"file": str(path), "relative": path.name, "case": path.stem if case == "case" else case}
    host = Host()
    first = host.build(where)
    made = host.reference({**where, "folder": str(tmp_path)})
    again: Any = host.same({**where, "digest": made["digest"]})
    # What the longer set needed would be in an export of the shorter one, and nobody else's export has it.
    assert again.model.table is None
    assert (again is not first) == kept
    assert ("attributes that are no buffers (table)" in " ".join(made["notes"])) == kept
    # So is any other run.
    if kept:
        again.model(*again.clone_inputs("nine")[0])
        host.keep_if_untouched(again)
        assert host.build(where) is not again
