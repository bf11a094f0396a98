"""What a search for a guilty operator may come to, for tests of reports."""

from __future__ import annotations

from pytest_modelconform.terms.blame import RUNTIME, Blame, Guilty
from pytest_modelconform.terms.program import Operator

CASE = """\
\"\"\"ort: aten.avg_pool2d is wrong with ceil_mode.\"\"\"
import torch

from pytest_modelconform import Case


class Model(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x, 3, 2, ceil_mode=True)


part = Case(model=Model, inputs={"seeded": lambda: (torch.randn(1, 2, 8, 8),)})
"""


def operator(target: str) -> Operator:
    return Operator(name=target, target=target, call="")


POOL = Guilty(
    operators=(
        Operator(
            name="avg_pool2d",
            target="aten.avg_pool2d.default",
            call="aten.avg_pool2d(relu_4, [3, 3], [2, 2], ceil_mode=True)",
            takes=("relu_4",),
            inputs=("float32[1, 64, 56, 56]",),
            returns=("float32[1, 64, 28, 28]",),
            module="features.pool",
            kind="AvgPool2d",
            file="models/net.py",
            line=12,
            source="self.pool(x)",
        ),
    ),
    stage="compare",
    message="output loses 18.9 bits",
    bits=3.1,
    of=22.0,
    party=RUNTIME,
    why="ort-cpp runs the same file.",
)
FOUND = Blame(guilty=(POOL,), note="It was exported anew.", case=CASE, tries=9, seconds=14.2)
