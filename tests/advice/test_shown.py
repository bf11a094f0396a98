"""What to change is where users look: terminal, log and page."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.report.html import payload
from pytest_modelconform.report.log import read
from tests.support import runs

pytestmark = pytest.mark.compiles
CASES = """\
import torch

from pytest_modelconform import Case, generic_weights


class Branch(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(4, 4)

    def forward(self, x):
        if x.sum() > 0:
            return self.a(x)
        return self.a(-x)


branch = Case(model=lambda: generic_weights(Branch()), inputs={"three": lambda: (torch.randn(3, 4),)})
one = Case(
    model=lambda: generic_weights(torch.nn.Linear(4, 4)),
    inputs={"one": lambda: (torch.randn(1, 4),)},
    dynamic_shapes={"input": {0: "batch"}},
)
"""


def test_the_sentence_is_shown_wherever_the_failure_is(tmp_path: Path) -> None:
    runs.write(tmp_path, {"net.py": CASES})
    options = ("--modelconform-formats=export", "--modelconform-log=run.jsonl", "net.py")
    found = runs.run(tmp_path, *options, runtimes="torch", env={"COLUMNS": "80"})
    record = found.cells["branch[export-torch-cpu]"]
    assert (record["verdict"], record["stage"]) == ("error", "export")
    [hint] = record["hints"]
    assert hint.startswith("`if x.sum() > 0:` branches on a tensor's value, which no export knows.")
    assert record["message"].endswith(f"\nwhat to change: {hint}")
    lines = found.failure("net.py::branch[export-torch-cpu]").splitlines()
    [at] = [i for i, line in enumerate(lines) if line.startswith("  what to change: `if x.sum() > 0:` branches")]
    assert " ".join(" ".join(lines[at:]).split()).startswith(f"what to change: {hint} rerun: ")
    details = {one["id"]: one for one in payload.make(read(tmp_path / "run.jsonl")).details}
    shown = details["net.py::branch[export-torch-cpu]"]
    assert (shown["hints"], shown["advises"]) == ([hint], True)
    # A model check ends with it, too, and the cells that fail only since it does don't repeat it.
    check, follows = (found.cells[name] for name in ("one[eager]", "one[export-torch-cpu]"))
    assert "Add an input set with 2 or more" in check["hints"][0]
    assert follows["hints"] == []
