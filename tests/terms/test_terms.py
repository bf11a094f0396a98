"""What two processes have to agree on stands in terms/ once, and whatever lists the same by itself says the same."""

from __future__ import annotations

from pytest_modelconform.formats.built_in import BUILT_IN as FORMATS
from pytest_modelconform.formats.frameworks import FRAMEWORKS
from pytest_modelconform.terms import case, runs
from pytest_modelconform.workers.host.frameworks import _ADAPTERS
from pytest_modelconform.workers.host.train.loop import OPTIMIZERS


def test_each_framework_has_a_case_host_and_an_adapter() -> None:
    assert tuple(FRAMEWORKS) == case.FRAMEWORKS
    assert (case.TORCH, *_ADAPTERS) == case.FRAMEWORKS


def test_each_twin_is_in_a_framework_and_has_a_format() -> None:
    assert set(case.TWINS) < set(case.FRAMEWORKS)
    assert {case.twin(framework) for framework in case.TWINS} < set(FORMATS)
    assert case.EVERYTHING == ("cpp", "train", "sequence", "twin-keras", "twin-jax")


def test_each_field_and_each_optimizer_is_there() -> None:
    fields = case.Case.__dataclass_fields__
    assert set(case.OPTIONAL) < set(fields)
    assert fields["mode"].default in case.MODES
    assert fields["framework"].default == case.TORCH
    assert tuple(OPTIMIZERS) == case.OPTIMIZERS


def test_how_runs_are_called() -> None:
    # As they stand on disk, where the references of another session are read.
    assert runs.GENERATED == ("auto-values", "auto-transposed", "auto-shape", "auto-least", "auto-most", "auto-zeros")
    assert [runs.key(runs.noisy(k), "/y") for k in (1, 7)] == ["e1:/y", "e7:/y"]
    assert runs.NOISY_RUNS + runs.WIDE_RUNS == 5
    assert runs.runs_file("a") == "runs-a.safetensors"
    assert runs.runs_file("training", runs.AGAIN) == "runs-training-again.safetensors"
