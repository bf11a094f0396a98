"""torch.cond and torch.while_loop under noise and in float64."""

from __future__ import annotations

from pathlib import Path

import torch

from pytest_modelconform.workers.host.build import build
from pytest_modelconform.workers.host.control_flow import in_python
from pytest_modelconform.workers.host.references import runs as references
from pytest_modelconform.workers.tensors import read

CASE = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)

    def forward(self, x):
        y = torch.cond(x.sum() > 0, lambda x: self.linear(x), lambda x: self.linear(-x), (x,))
        below = lambda i, z: i < 3
        return torch.while_loop(below, lambda i, z: (i + 1, (z * 1.1).tanh()), (torch.tensor(0), y))[1]


net = Case(model=Net, inputs={"a": lambda: (torch.rand(4, 8),)}, fixed_inputs="one is enough")
"""


def test_they_have_noise_and_a_float64_run(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(CASE)
    built = build(str(tmp_path / "net.py"), "net.py", "net")
    made = references.make(built, str(tmp_path), search=False)
    assert made["sets"]["a"]["impure"] == ""
    assert not any("watched" in note for note in made["notes"])
    found = read(str(tmp_path / "runs-a.safetensors"))
    assert {"e0:", "r:", "e1:", "e2:", "e3:"} <= set(found)
    assert found["r:"].dtype == "float64"
    assert len({bytes(found[name].data) for name in ("e0:", "e1:", "e2:", "e3:")}) == 4


def test_they_say_what_pytorch_says() -> None:
    x, kept = torch.arange(3.0), torch.cond
    with in_python():
        assert torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,)).tolist() == [1, 2, 3]
        assert torch.cond(x.sum() < 0, lambda y: y + 1, lambda y: y - 1, (x,)).tolist() == [-1, 0, 1]
        i, y = torch.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, y * 2), (torch.tensor(0), x))
    assert (int(i), y.tolist()) == (2, [0, 4, 8])
    assert torch.cond is kept
