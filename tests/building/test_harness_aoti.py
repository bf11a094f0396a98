"""The libtorch harness and packages of AOTInductor: a real build, a real package, over the wire."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pytest_modelconform.building import harness
from tests.building.talking import Worker, built, script, write_inputs
from tests.support import aoti_package

pytestmark = pytest.mark.compiles

FEEDS = [[f"arg{i}", key] for i, key in enumerate(("fixed", "free", "unused", "boxes"))]
LIBRARIES = [str(path) for path in harness.torchvision_libraries()]


@pytest.fixture
def package(session_folder: Path) -> Path:
    return aoti_package.make(session_folder) / "artifact" / "model.pt2"


@pytest.fixture
def worker(ask: Callable[..., Worker]) -> Worker:
    # Off, as a user may have it: the worker itself switches the check on.
    return ask("libtorch", AOTI_RUNTIME_CHECK_INPUTS="0")


@pytest.fixture
def loaded(worker: Worker, package: Path) -> Worker:
    assert worker.get("load", model=str(package), format="aoti", libraries=LIBRARIES)["seconds"] > 0
    return worker


def inputs(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    boxes = torch.tensor([[0.0, 0, 2, 2], [0.1, 0, 2, 2], [5.0, 5, 7, 7]])
    given = {"fixed": torch.ones(2, 3), "free": torch.arange(12.0).reshape(4, 3), "unused": torch.ones(1)}
    return {**given, "boxes": boxes, **changes}


# What every request for a flat artifact has besides: for workers that call it like the model.
CALL = {"args": [{"tensor": "fixed"}], "kwargs": []}


def test_results_are_named_by_their_places(loaded: Worker) -> None:
    places = ["0", "2", "3", "4", "5", "6", "7"]
    answer, found = loaded.run(inputs(), **CALL, feeds=FEEDS, fetches=places, repeats=2)
    first, second = answer["runs"]
    assert second["same_as"] == 0
    assert "layout" not in first
    assert answer["inputs_changed"] == []
    key = {name: tree["tensor"] for name, tree in first["outputs"]["dict"]}
    assert list(key) == places
    y = 2.0 + torch.arange(12.0).reshape(4, 3) * torch.tensor([6.0, 10.0, 14.0])
    assert torch.equal(found[key["0"]], y)
    assert torch.equal(found[key["2"]], inputs()["free"])
    assert torch.equal(found[key["3"]], y)
    assert found[key["4"]].tolist() == [0.0, 1.0, 2.0]
    assert (found[key["5"]].item(), found[key["6"]].tolist()) == (4, [2, 1])
    assert torch.equal(found[key["7"]], 2 * y.t())


def test_a_free_length_may_be_one(loaded: Worker) -> None:
    _, found = loaded.run(inputs(free=torch.ones(1, 3)), **CALL, feeds=FEEDS, fetches=["0"])
    [y] = found.values()
    assert y.tolist() == [[8.0, 12.0, 16.0]]


@pytest.mark.parametrize("place", ["1", "8", "y", "-1"])
def test_where_there_is_no_tensor_it_says_so(place: str, loaded: Worker, tmp_path: Path) -> None:
    file = write_inputs(tmp_path / "in", inputs())
    request = {"inputs": str(file), "outputs": str(tmp_path / "out"), **CALL, "feeds": FEEDS, "fetches": [place]}
    assert loaded.fail("run", **request) == f"the package returns 8 values, and no tensor at place '{place}'"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fixed", torch.ones(3, 3), "input_handles[0]: unmatched dim value at 0, expected: 2, but got: 3"),
        ("fixed", torch.ones(3, 2).t(), "input_handles[0]: unmatched stride value at 0, expected: 3, but got: 1"),
        ("free", torch.ones(4, 3, dtype=torch.float64), "input_handles[1]: unmatched dtype"),
    ],
)
def test_inputs_that_a_package_was_not_compiled_for_are_refused(
    name: str, value: torch.Tensor, message: str, loaded: Worker, tmp_path: Path
) -> None:
    file = write_inputs(tmp_path / "in", inputs(**{name: value}))
    request = {"inputs": str(file), "outputs": str(tmp_path / "out"), **CALL, "feeds": FEEDS, "fetches": ["0"]}
    said = loaded.fail("run", **request)
    assert message in said
    assert said.endswith(" (AOTI_RUNTIME_CHECK_INPUTS=1; without it, the package reads such an input as if it fitted)")
    # And the worker goes on.
    assert loaded.run(inputs(), **CALL, feeds=FEEDS, fetches=["0"])[0]["runs"]


def test_packages_and_modules_take_turns(worker: Worker, package: Path, tmp_path: Path) -> None:
    module = tmp_path / "module.pt"
    script(torch.nn.ReLU(), module)
    for _ in range(2):
        worker.get("load", model=str(package), format="aoti", libraries=LIBRARIES)
        worker.run(inputs(), **CALL, feeds=FEEDS, fetches=["0"])
        worker.get("load", model=str(module), format="torchscript-script")
        _, found = worker.run({"x": -torch.ones(2)}, args=[{"tensor": "x"}], kwargs=[])
        assert [value.tolist() for value in found.values()] == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"AOTI_DEVICE_KEY": "cuda"}, "compiled for cuda, this is cpu: export it on the device that it runs on"),
        pytest.param(
            {"AOTI_CPU_ISA": "AVX512 AVX512_VNNI"},
            "compiled for a processor with AVX512 AVX512_VNNI, which this one lacks: export it on this one",
            marks=pytest.mark.skipif(
                torch.cpu.get_capabilities().get("avx512_f", True), reason="this processor has AVX512, or is no x86"
            ),
        ),
    ],
)
def test_a_package_for_another_machine_is_refused(
    changes: dict[str, str], message: str, worker: Worker, package: Path, tmp_path: Path
) -> None:
    other = aoti_package.with_metadata(package, tmp_path / "model.pt2", **changes)
    assert worker.fail("load", model=str(other), format="aoti", libraries=LIBRARIES) == f"the package was {message}"


def test_by_hand(package: Path, tmp_path: Path) -> None:
    file = write_inputs(tmp_path / "in", {f"/args/{i}": value for i, value in enumerate(inputs().values())})
    libraries = [word for library in LIBRARIES for word in ("--library", library)]
    command = [str(built("libtorch")), str(package), "--inputs", str(file), *libraries]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "float32 [4, 3]" in done.stdout
    assert "None" in done.stdout
