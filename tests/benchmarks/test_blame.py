"""What is planted is what was meant to be, where it was meant to be; and a name is right only if it is the one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks import blame as bench
from benchmarks.planted import plant, told
from benchmarks.planted import site as sites
from benchmarks.planted.kinds import FOLDED, KINDS
from benchmarks.planted.site import Site
from pytest_modelconform.terms.blame import Blame, Guilty
from pytest_modelconform.terms.program import Operator
from pytest_modelconform.workers.host.build import Built, build

CASE = """
import torch
from torch import nn
from pytest_modelconform import Case, generic_weights


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.second = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)

    def forward(self, x):
        return torch.relu(self.second(torch.relu(self.norm(self.first(x)))))


class Tail(nn.Module):
    def __init__(self):
        super().__init__()
        self.second = nn.Conv2d(4, 4, 3)

    def forward(self, x):
        return torch.relu(self.second(x))


twice = Case(model=lambda: generic_weights(Twice()), inputs={"a": lambda: (torch.randn(2, 3, 9, 9),)},
             dynamic_shapes={"x": {0: "batch"}})
"""


@pytest.fixture
def built(tmp_path: Path) -> Built:
    file = tmp_path / "twice.py"
    file.write_text(CASE)
    return build(str(file), "twice.py", "twice")


@pytest.fixture
def told_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(sites.VARIABLE, str(tmp_path / "planted.pt"))
    return tmp_path / "planted.pt"


def every(built: Built) -> dict[tuple[str, str], Site]:
    program = plant.flat_program(built)
    found = sites.sites(program, plant.in_order(program, *built.clone_inputs()))
    return {(site.kind, site.operator): site for site in found}


def test_every_kind_names_operators_and_what_applies_changes_something(built: Built) -> None:
    found = every(built)
    assert ("leaky ReLU for ReLU", "relu") in found
    assert ("leaky ReLU for ReLU", "relu_1") in found
    assert found["folded norm's epsilon", "batch_norm"].after == "conv2d"
    assert found["fused activation dropped", "relu_1"].after == "conv2d_1"
    assert {kind for kind, _ in found} <= {*KINDS, *FOLDED}
    program = plant.flat_program(built)
    applied = {key for key, site in found.items() if plant.applies(site, program, built)}
    assert ("result × 1.001", "conv2d") in applied
    assert ("convolution padded behind", "conv2d") not in applied  # nothing is padded


def test_the_planted_operator_alone_is_computed_otherwise(built: Built, told_by: Path) -> None:
    (x,), _ = built.clone_inputs()
    assert plant.planted(built) is built
    assert told.digest() == ""
    model: Any = built.model
    sites.write(every(built)["result × 1.001", "conv2d_1"], told_by)
    assert told.digest()
    faulty = plant.planted(built).model
    with torch.no_grad():
        right, wrong = model(x), faulty(x)
        exact = torch.relu(1.001 * model.second(torch.relu(model.norm(model.first(x)))))
    assert not torch.equal(right, wrong)
    torch.testing.assert_close(wrong, exact)


def part(built: Built, model: nn.Module, x: Tensor) -> Built:
    """The case with another model and other inputs, as a part of it is."""
    from dataclasses import replace

    return replace(built, model=model.eval(), inputs={"a": ((x,), {})}, dynamic_shapes=None)


def test_a_part_has_the_fault_only_with_the_operator_and_what_reaches_it(built: Built, told_by: Path) -> None:
    (x,), _ = built.clone_inputs()
    model: Any = built.model
    with torch.no_grad():
        reaching = torch.relu(model.norm(model.first(x)))
    sites.write(every(built)["result × 1.001", "conv2d_1"], told_by)
    for second, value, has in (
        (model.second, reaching, True),
        (model.second, reaching + 1, False),  # something else reaches it
        (model.first, x, False),  # the same kind of operator elsewhere
    ):
        piece = part(built, nn.Sequential(second, nn.ReLU()), value)
        assert (plant.planted(piece) is not piece) == has


def test_a_fused_fault_needs_both_operators_and_nobody_between(built: Built, told_by: Path) -> None:
    class Tapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            second: Any = built.model.second
            self.second = second

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = self.second(x)
            return torch.relu(y), y

    (x,), _ = built.clone_inputs()
    model: Any = built.model
    with torch.no_grad():
        reaching = torch.relu(model.norm(model.first(x)))
        between = model.second(reaching)
    sites.write(every(built)["fused activation dropped", "relu_1"], told_by)
    for piece, has in (
        (part(built, nn.Sequential(model.second, nn.ReLU()), reaching), True),
        (part(built, nn.Sequential(nn.ReLU()), between), False),
        (part(built, Tapped(), reaching), False),
    ):
        assert (plant.planted(piece) is not piece) == has


@pytest.mark.filterwarnings("ignore:`torch.jit.trace.*` is deprecated")
def test_a_trace_keeps_the_batch_open(built: Built, told_by: Path) -> None:
    (x,), _ = built.clone_inputs()
    sites.write(every(built)["leaky ReLU for ReLU", "relu"], told_by)
    faulty = plant.planted(built).model
    with torch.no_grad():
        traced = torch.jit.trace(faulty, (x,), check_trace=False)
        longer = torch.cat([x, x, x])
        torch.testing.assert_close(traced(longer), faulty(longer))


@pytest.mark.parametrize(
    ("kind", "named", "score"),
    [
        ("result × 1.001", [["conv2d_1"]], bench.RIGHT),
        ("result × 1.001", [["conv2d_1"], ["relu"]], bench.RIGHT),
        ("result × 1.001", [["relu"], ["conv2d_1"]], bench.WRONG),
        ("result × 1.001", [["conv2d_1", "relu_1"]], bench.WRONG),
        ("result × 1.001", [], bench.NOT_FOUND),
        ("fused activation dropped", [["conv2d_1", "relu_1"]], bench.RIGHT),
        ("fused activation dropped", [["relu_1"]], bench.WRONG),
    ],
)
def test_only_the_planted_one_named_first_is_right(kind: str, named: list[list[str]], score: str) -> None:
    after, operator = ("conv2d_1", "relu_1") if kind in FOLDED else ("", "conv2d_1")
    site = Site(kind, operator, "", "", (), after)
    guilty = [
        Guilty(operators=tuple(Operator(name=n, target="", call="") for n in names), stage="compare", message="")
        for names in named
    ]
    assert bench.scored(site, Blame(guilty=tuple(guilty))) == score
