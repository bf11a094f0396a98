"""The benchmark of the verdicts themselves: what it injects is detected, and what it lets off is harmless."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import detection
from benchmarks.faults import artifact, clean, dispatch, judge, mutants, report, subject, weights
from pytest_modelconform.terms.case import Tolerance

# Exporters and TorchScript warn that they are deprecated.
pytestmark = pytest.mark.filterwarnings("ignore")

CASE = """\
import torch
from torch import nn

from pytest_modelconform import Case, generic_weights


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)
        self.norm = nn.LayerNorm(16)
        self.table = nn.Embedding(50, 8)

    def forward(self, x, ids):
        y = self.second(nn.functional.gelu(self.norm(self.first(x + self.table(ids)))))
        return {"y": y, "best": y.argmax(1)}


def inputs(batch):
    return torch.randn(batch, 8), torch.randint(0, 50, (batch,))


case = Case(
    model=lambda: generic_weights(Net()),
    inputs={"thirty": lambda: inputs(30), "others": lambda: inputs(30), "forty": lambda: inputs(40)},
    dynamic_shapes={"x": {0: "batch"}, "ids": {0: "batch"}},
)
"""


@pytest.fixture(scope="module", autouse=True)
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELCONFORM_CACHE", str(tmp_path_factory.mktemp("cache")))
        with clean.torch_threads(1):
            yield


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> subject.Subject:
    folder = tmp_path_factory.mktemp("detection")
    (folder / "small_net.py").write_text(CASE)
    # The other ONNX exporter takes seconds to import.
    choices = (("torchscript-trace",), ("onnx-legacy",))
    made = subject.subject(folder / "small_net.py", folder, "small_net", folder / "references", choices=choices)
    assert set(made.artifacts) == {"torch", "ort"}, made.left_out
    return made


def record(net: subject.Subject, mutant: mutants.Mutant, tolerance: Tolerance | None = None) -> judge.Record:
    base = judge.Record(net.name, mutant.kind, mutant.where, mutant.format, mutant.runtime, "")
    return judge.mutant_record(base, mutant.make(), net.prepared.sets, tolerance or net.tolerance)


def scaled(net: subject.Subject, runtime: str, factor: float) -> mutants.Mutant:
    """An artifact whose first weight matrix is multiplied."""
    found = net.artifacts[runtime]

    def make() -> mutants.Faulty:
        name, value = max(found.tensors().items(), key=lambda item: (item[1].shape == (8, 16)) + item[1].numel())
        return mutants.of_artifact(found.with_tensors({name: value * factor}))

    return mutants.Mutant("scaled", "largest", found.format, found.runtime, make)


def test_every_kind_that_applies_is_detected(net: subject.Subject) -> None:
    records = list(detection.injected(net, 150, "0"))
    kinds = {one.kind for one in records}
    assert {"weight in float16", "rows moved by one", "stale second run", "input baked in", "TF32 arithmetic"} <= kinds
    assert {"layer norm's epsilon × 10", "GELU by the other formula", "value baked in", "output renamed"} <= kinds
    assert {one.runtime for one in records} == {"torch", "ort"}
    detected = {one.kind for one in records if not one.passed}
    assert detected == kinds
    assert not [one for one in records if report.fate(one) == "survived"]


def test_a_harmless_fault_is_equivalent_and_not_detected(net: subject.Subject) -> None:
    for runtime in net.artifacts:
        found = record(net, scaled(net, runtime, 1 + 1e-7))
        assert (found.verdict, found.equivalent, report.fate(found)) == ("pass", True, "equivalent")
        assert found.exact_loss is not None
        assert found.exact_loss < 1


def test_a_survivor_is_reported_as_one(net: subject.Subject) -> None:
    for runtime in net.artifacts:
        mutant = scaled(net, runtime, 1.0001)
        assert report.fate(record(net, mutant)) == "mismatch"
        survivor = record(net, mutant, Tolerance(bits_lost=40, worst=40))
        assert (survivor.verdict, survivor.equivalent, report.fate(survivor)) == ("pass", False, "survived")
        assert survivor.loss == pytest.approx(survivor.exact_loss, abs=1)
        faint = dataclasses.replace(survivor, exact_judged=report.FAINT - 0.1)
        assert "1 faint ones:\n  small_net[" in report.mutant_tables([faint])
        assert "1 survivors:\n  small_net[" in report.mutant_tables([survivor])
        assert "0 survivors" in report.mutant_tables([report.judged_again(survivor, 3, 6)])


def test_a_fault_without_float64_numbers_is_no_equivalent(net: subject.Subject) -> None:
    right = mutants.of_artifact(net.artifacts["torch"])

    def none(entry: object) -> list[object]:
        raise artifact.NoFloat64("an operator is missing")

    mutant = mutants.Mutant("none", "", "", "torch", lambda: dataclasses.replace(right, exact=none))  # type: ignore[arg-type]
    found = record(net, mutant)
    assert (found.verdict, found.exact_loss, found.equivalent) == ("pass", None, False)
    assert report.fate(found) == "survived"


def test_what_makes_faults_is_not_seen_itself(net: subject.Subject) -> None:
    torch_artifact, onnx_artifact = net.artifacts["torch"], net.artifacts["ort"]
    assert isinstance(torch_artifact, artifact.TorchArtifact)
    assert isinstance(onnx_artifact, artifact.OnnxArtifact)
    for same in (
        torch_artifact.with_tensors(torch_artifact.tensors()),
        torch_artifact.with_around(lambda: dispatch.Changed([])),
        onnx_artifact.with_tensors(onnx_artifact.tensors()),
        onnx_artifact.with_model(onnx_artifact.copied()),
    ):
        mutant = mutants.Mutant("none", "", same.format, same.runtime, lambda same=same: mutants.of_artifact(same))  # type: ignore[misc]
        found = record(net, mutant)
        assert (found.verdict, report.fate(found)) == ("pass", "equivalent")
        assert found.exact_loss is not None
        assert found.exact_loss < 0


def test_a_fault_that_changes_nothing_is_no_mutant(net: subject.Subject) -> None:
    value = torch.ones(3, 3)
    same = artifact.TorchArtifact("eager", torch.nn.Linear(3, 3, bias=False))
    with torch.no_grad():
        same.module.weight.copy_(value)
    found = {(m.kind, m.where): m for m in weights.mutants(same, "0")}
    with pytest.raises(mutants.NotApplicable):
        found["weight transposed", "weight"].make()
    found["weight zero", "weight"].make()


def test_clean_reruns_pass(net: subject.Subject, tmp_path: Path) -> None:
    records = list(clean.reruns(net, 12, "0", tmp_path))
    assert len(records) >= 10
    assert {one.runtime for one in records} == {"torch", "ort", "openvino"}
    assert [one for one in records if not one.passed] == []


def test_records_can_be_judged_by_other_limits(tmp_path: Path) -> None:
    base = judge.Record("c", "k", "w", "onnx", "ort", "pass", judged=2.5, loss=2.5, worst=5.0, exact_judged=0.9)
    hard = dataclasses.replace(base, verdict="mismatch", hard=True, exact_judged=None)
    none = dataclasses.replace(base, verdict=clean.NOT_COMPARABLE)
    file = tmp_path / "records.json"
    file.write_text(report.to_json([base, hard], [none], {"seed": 0}))
    json.loads(file.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    (same, still), (apart,), about = report.from_json(file)
    assert (same, still, apart, about) == (base, hard, none, {"seed": 0})
    assert report.judged_again(same, 3, 6).passed
    assert report.judged_again(same, 3, 6).equivalent
    assert not report.judged_again(dataclasses.replace(base, exact_judged=2.4), 3, 6).equivalent
    assert not report.judged_again(same, 2, 6).passed
    assert not report.judged_again(same, 3, 4).passed
    assert not report.judged_again(still, 99, 99).passed
    assert report.judged_again(apart, 0, 0) == apart
