"""A small stranger, by all that is done for one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.faults.artifact import TorchArtifact
from benchmarks.faults.mutants import NotApplicable
from benchmarks.strangers import population, work
from benchmarks.strangers.adversary import Memory
from benchmarks.strangers.families.stranger import Stranger
from benchmarks.strangers.parts import ADVERSARY, MUTANTS, Part, records
from benchmarks.strangers.population import Subject

pytestmark = [pytest.mark.compiles, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    monkeypatch.setenv("MODELCONFORM_CACHE", str(tmp_path / "cache"))

    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(24, 32), nn.GELU(), nn.Linear(32, 16))

    one = Stranger("tests.net", make, lambda: torch.randn(4, 24))
    found = {one.name: one}
    monkeypatch.setattr(population, "strangers", lambda path="": found)
    # The process's output is taken by `examine`.
    kept = [os.dup(number) for number in (1, 2)]
    with contextlib.ExitStack() as stack:
        for number, copy in enumerate(kept, 1):
            stack.callback(os.close, copy)
            stack.callback(os.dup2, copy, number)
        yield Subject(one, population.GENERIC)


def test_the_adversary_passes_on_a_small_net(stranger: Subject, tmp_path: Path) -> None:
    work.examine(work.Task(stranger, ADVERSARY, 5, 0, 0, tmp_path))
    found = list(records(tmp_path, ADVERSARY))
    assert [r.verdict for r in found] == ["pass"] * 5
    assert len({r.loss for r in found}) > 1
    assert Part(tmp_path, ADVERSARY, stranger.case).done


def test_faults_in_it_are_found_and_explained(stranger: Subject, tmp_path: Path) -> None:
    work.examine(work.Task(stranger, MUTANTS, 8, 2, 0, tmp_path))
    found = list(records(tmp_path, MUTANTS))
    assert len(found) == 8
    assert {r.format for r in found} <= {"torchscript-trace", "onnx-legacy"}
    assert sum(r.passed for r in found) < 4
    assert sum(r.hints is not None for r in found) == 2


def test_what_the_adversary_cant_do_is_nobodys_fault() -> None:
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("no")

    faulty = work.drawn(TorchArtifact("eager", Broken()), "seed", Memory())

    class Entry:
        file = ""
        args: tuple[()] = ()
        kwargs: tuple[()] = ()

    with pytest.raises(NotApplicable):
        faulty.runs(Entry())  # type: ignore[arg-type]
