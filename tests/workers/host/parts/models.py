"""Models that are taken apart in these tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_modelconform.workers.host.parts.graph import is_operator
from pytest_modelconform.workers.host.parts.programs import Taken, taken
from tests.support import runs

HEAD = """\
import torch
from torch import nn

from pytest_modelconform import Case, generic_weights


"""


def part_file(tmp_path: Path, text: str) -> Path:
    """A case file with one case, `net`."""
    return runs.case_file(tmp_path, "net", HEAD + text)


def program(tmp_path: Path, forward: str, fields: str = "", init: str = "pass") -> Taken:
    """The program of a model with that forward, of x float32[4, 8] unless `fields` has inputs."""
    given = "" if "inputs=" in fields else 'inputs={"one": lambda: (torch.randn(4, 8),)}, '
    lines = "\n".join(f"        {line}" for line in forward.splitlines())
    made = "\n".join(f"        {line}" for line in init.splitlines())
    text = f"class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n{made}\n\n"
    arguments = "x, mask" if "mask" in forward else "x"
    text += f"    def forward(self, {arguments}):\n{lines}\n\n\n"
    text += f"net = Case(model=lambda: generic_weights(Net()), {given}{fields})\n"
    path = part_file(tmp_path, text)
    return taken(str(path), path.name, "net", "float32")


def names(found: Taken) -> list[str]:
    """Of its operators."""
    return [node.name for node in found.module.graph.nodes if is_operator(node)]


def targets(found: Taken) -> list[Any]:
    """What its operators are."""
    return [str(node.target) for node in found.module.graph.nodes if is_operator(node)]
